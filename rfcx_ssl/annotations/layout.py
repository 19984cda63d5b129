"""Names of RFCX's tables and of their columns: t in seconds from the start of the recording, f in Hz."""

PRESENT_TABLE, ABSENT_TABLE = "train_tp.csv", "train_fp.csv"
SUBMISSION_TABLE = "sample_submission.csv"
# what the competition does not have, and the synthetic rainforest does
TRUTH_TABLE, RECORDINGS_TABLE, SPECIES_TABLE = "truth.csv", "recordings.csv", "species.csv"
#: What of a data set could not be used, and why.
QUARANTINE_TABLE = "quarantine.csv"

BOX_COLUMNS = ("recording_id", "species_id", "songtype_id", "t_min", "f_min", "t_max", "f_max")
TRUTH_COLUMNS = ("recording_id", "split", *BOX_COLUMNS[1:], "snr_db")
RECORDING_COLUMNS = ("recording_id", "split", "site", "duration_s")

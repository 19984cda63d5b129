"""Nothing that comes from data is run: what the package's code must not contain, seen in its syntax."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path for room in ("rfcx_ssl", "finetune", "pretrain", "manifests") for path in (ROOT / room).rglob("*.py")
)
RUNS = {"eval", "exec", "compile", "__import__"}
ERRORS = {"UnpicklingError", "PickleError"}  # what torch.load raises
PICKLES = {"cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
UNSAFE_YAML = {"yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all", "yaml.full_load_all", "yaml.load_all"}


def dotted(node):
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def dangers(source):
    """Lines of what runs data, and why."""
    tree = ast.parse(source)
    safe = {
        n.name for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and "yaml.SafeLoader" in map(dotted, n.bases)
    }
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            harmless = node.module == "pickle" and {alias.name for alias in node.names} <= ERRORS
            modules += [] if harmless else [f"_{node.module}" if node.module == "pickle" else node.module or ""]
        yield from ((node.lineno, name) for name in modules if name.split(".")[0] in PICKLES)
        if isinstance(node, ast.Attribute) and dotted(node).startswith("pickle.") and node.attr not in ERRORS:
            yield node.lineno, dotted(node)
        if not isinstance(node, ast.Call):
            continue
        name, words = dotted(node.func), {word.arg: word.value for word in node.keywords}
        true = {key for key, value in words.items() if isinstance(value, ast.Constant) and value.value is True}
        if name in RUNS | SHELLS | UNSAFE_YAML or {"shell", "allow_pickle", "trust_remote_code"} & true:
            yield node.lineno, name
        if name == "torch.load" and "weights_only" not in true:
            yield node.lineno, name
        if name == "yaml.load" and dotted(words.get("Loader")) not in {*safe, "yaml.SafeLoader", "yaml.CSafeLoader"}:
            yield node.lineno, name


def test_no_file_runs_data():
    found = [(str(path.relative_to(ROOT)), *danger) for path in FILES for danger in dangers(path.read_text("utf-8"))]
    assert not found and len(FILES) > 200


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)", "exec(text)", "import pickle\npickle.loads(data)", "import dill", "from pickle import loads", "import joblib.numpy_pickle",
        "subprocess.run(text, shell=True)", "os.system(text)", "torch.load(path)", "torch.load(path, weights_only=False)",
        "yaml.load(text)", "yaml.load(text, Loader=yaml.Loader)", "yaml.unsafe_load(text)", "np.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(path, trust_remote_code=True)",
        "class L(yaml.Loader):\n    pass\nyaml.load(text, Loader=L)",
    ],
)  # fmt: skip
def test_what_would_run_data_is_seen(source):
    assert list(dangers(source))


@pytest.mark.parametrize(
    "source", ["model.eval()", "torch.load(path, weights_only=True)", "torch.compile(model)", "np.load(path)"]
)
def test_what_is_harmless_passes(source):
    assert not list(dangers(source))

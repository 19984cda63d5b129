"""What the site adds to the pages of docs/: the configuration reference, and the files that they link to."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from outside import as_page, every_file, relinked, site_path
from settings_reference import reference

SETTINGS = "<!-- the tables of settings stand here on the site -->"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every file of the repository that some page links to."""
    pages = [(f"docs/{file.src_uri}", _expanded(file.content_string)) for file in files.documentation_pages()]
    for path in sorted(every_file(pages)):
        files.append(
            File.generated(config, site_path(path), content=as_page(path), inclusion=InclusionLevel.NOT_IN_NAV)
        )
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put in the settings; links out of docs/ go to the pages made of their files."""
    uri = page.file.src_uri
    return markdown if uri.startswith("files/") else relinked(_expanded(markdown), f"docs/{uri}")


def _expanded(markdown: str) -> str:
    return markdown.replace(SETTINGS, reference()) if SETTINGS in markdown else markdown

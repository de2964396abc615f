"""Takes the documents that stand outside ``docs/`` into the site, and lets links between the two lead to the right pages.

In the repository, links are those of the files, so that they work where the files are read; the site has its own tree.
"""

# ruff: noqa: INP001 -- loaded by mkdocs, and part of no package

from __future__ import annotations

import posixpath
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

OUTSIDE = (
    "SKILL.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "README.md",
    "references/api-contract.md",
    "benchmarks/README.md",
    "benchmarks/scaling.svg",
)
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)\s#]+)")
_CODE = re.compile(r"(^ *```.*?^ *```|``.*?``|`[^`\n]*`)", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the documents from outside; the page of the README is the site's first, so that one stays out."""
    root = posixpath.dirname(config.config_file_path)
    for path in OUTSIDE:
        if path != "README.md":
            files.append(File.generated(config, path, abs_src_path=posixpath.join(root, path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Writes each link as the site's tree wants it."""
    del config, files
    own = page.file.src_uri
    folder = posixpath.dirname(own if own in OUTSIDE else f"docs/{own}")

    def to_site(link: re.Match[str]) -> str:
        meant = posixpath.normpath(posixpath.join(folder, link[1]))
        target = "index.md" if meant == "README.md" else meant.removeprefix("docs/")
        return posixpath.relpath(target, posixpath.dirname(own) or ".")

    parts = _CODE.split(markdown)
    return "".join(part if index % 2 else _LINK.sub(to_site, part) for index, part in enumerate(parts))

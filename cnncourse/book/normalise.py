"""One form for every stored notebook: what a run leaves by chance is taken out, what must not be is refused."""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from nbformat import NotebookNode

from cnncourse.book.execute import NotebookError, describe_cell

__all__ = ["figure_bytes", "normalise", "refuse_litter"]

_WIDGET = "application/vnd.jupyter.widget-view+json"
_PROGRESS = re.compile(r".*(\d+%\|.*\||\d+it) ?.*\[.*\]\s*")
_WARNING = re.compile(r"\b\w*Warning: .*")
_ADDRESS = re.compile(r"<.* at 0x[0-9a-f]{6,}.*>")
_SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)
_GENERATED = ("run-line", "parameters", "setup")
_KEPT_METADATA = ("accelerator", "cnncourse", "colab")


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook in its stored form; doing it twice changes nothing more.

    Cell identifiers follow from the cells' content or, where that is generated, from their tag; execution
    counts from their order. Empty cells, timestamps, widget state, progress bars and the style sheet that the
    set-up cell shows are dropped, streams are joined.

    Args:
        notebook: as executed; stays as it is.

    Returns:
        A new notebook of format 4.5.
    """
    seen: Counter[str] = Counter()
    cells = []
    count = 0
    for cell in notebook.cells:
        source = cell.source.strip("\n").rstrip()
        if not source:
            continue
        tags = list(dict.fromkeys(cell.metadata.get("tags", [])))
        digest = next((tag for tag in _GENERATED if tag in tags), "") or _digest(cell.cell_type, source)
        seen[digest] += 1
        identifier = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        stored: dict[str, Any] = {"cell_type": cell.cell_type, "id": identifier, "source": source}
        stored["metadata"] = {"tags": tags} if tags else {}
        if cell.cell_type == "code":
            count += 1
            stored["execution_count"] = count
            stored["outputs"] = _outputs(cell.get("outputs", []), count)
        elif "attachments" in cell:
            stored["attachments"] = cell["attachments"]
        cells.append(stored)
    metadata = {key: notebook.metadata[key] for key in _KEPT_METADATA if key in notebook.metadata}
    metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    normal: NotebookNode = _node({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
    return normal


def _digest(kind: str, source: str) -> str:
    return hashlib.sha256(f"{kind}\n{source}".encode()).hexdigest()[:8]


def _node(value: Any) -> Any:
    if isinstance(value, dict):
        return NotebookNode({key: _node(part) for key, part in value.items()})
    return [_node(part) for part in value] if isinstance(value, list) else value


def _outputs(outputs: Iterable[NotebookNode], count: int) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for output in outputs:
        if output.output_type == "stream":
            last = kept[-1] if kept else {}
            if last.get("output_type") == "stream" and last["name"] == output.name:
                last["text"] += output.text
            else:
                kept.append({"output_type": "stream", "name": output.name, "text": output.text})
        elif output.output_type == "error":
            kept.append({**output})
        else:
            data = {mime: content for mime, content in output.data.items() if mime != _WIDGET}
            bare_widget = len(data) < len(output.data) and set(data) <= {"text/plain"}
            if not data or bare_widget or data.get("text/html", "").lstrip().startswith("<style"):
                continue
            kept.append({"output_type": output.output_type, "data": data, "metadata": output.metadata})
            if output.output_type == "execute_result":
                kept[-1]["execution_count"] = count
    for shown in kept:
        if shown["output_type"] == "stream":
            shown["text"] = _settled(shown["text"])
    return [shown for shown in kept if shown.get("text") != ""]


def _settled(text: str) -> str:
    """Return what a terminal shows in the end: lines written over are gone, and so are progress bars."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    settled = "\n".join(line for line in lines if not _PROGRESS.fullmatch(line))
    return settled if settled.strip() else ""


def _texts(output: NotebookNode) -> list[str]:
    if output.output_type == "stream":
        return [str(output.text)]
    data = output.get("data", {})
    return [data[mime] for mime in ("text/plain", "text/html") if isinstance(data.get(mime), str)]


def refuse_litter(notebook: NotebookNode, *, slug: str) -> None:
    """Refuse outputs that no reader should meet.

    Args:
        notebook: in its stored form.
        slug: the chapter's name, for messages.

    Raises:
        NotebookError: if a cell warns, writes to the error stream, or shows an object's memory address,
            which differs from run to run.
    """
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            place = f"{slug}, {describe_cell(notebook, index)}"
            for text in _texts(output):
                if match := _WARNING.search(text):
                    raise NotebookError(f"{place}: warns: {match[0].strip()}; mend the cause")
                if match := _ADDRESS.search(_SVG.sub("", text)):
                    raise NotebookError(f"{place}: shows {match[0]!r}, another address at each run")
            if output.output_type == "stream" and output.name == "stderr":
                first = output.text.strip().splitlines()[0]
                raise NotebookError(f"{place}: writes to the error stream: {first}")


def figure_bytes(notebook: NotebookNode) -> int:
    """Return how many bytes of pictures the notebook's outputs bring to its page."""
    total = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for mime, content in output.get("data", {}).items():
                if mime == "text/html":
                    total += sum(len(svg.encode()) for svg in _SVG.findall(content))
                elif mime == "image/svg+xml":
                    total += len(content.encode())
                elif mime.startswith("image/"):
                    total += len(base64.b64decode(content))
    return total

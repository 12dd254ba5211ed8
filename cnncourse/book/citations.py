"""Citations and links made by code, as the roles of MyST make them."""

from docutils import nodes
from sphinx import addnodes
from sphinx.environment import BuildEnvironment
from sphinxcontrib.bibtex.citation_target import parse_citation_targets
from sphinxcontrib.bibtex.roles import CitationRef

__all__ = ["citation", "link"]


def citation(env: BuildEnvironment, document: nodes.document, key: str) -> nodes.Node:
    """Return what ``{cite:t}`` gives for a key of the bibliography; the bare key when it is not in there.

    Args:
        env: Sphinx's environment, with sphinxcontrib-bibtex loaded.
        document: the page that cites.
        key: key in ``book/references.bib``.

    Returns:
        A reference that Sphinx resolves.
    """
    domain = env.get_domain("cite")
    if key not in domain.bibdata.data.entries:  # type: ignore[attr-defined]
        return nodes.literal(key, key)
    reference = addnodes.pending_xref(
        key, nodes.inline(key, key), refdomain="cite", reftype="t", reftarget=key, refdoc=env.docname
    )
    reference["refexplicit"], reference["refwarn"] = False, True
    document.note_explicit_target(reference, reference)
    domain.citation_refs.append(  # type: ignore[attr-defined]
        CitationRef(reference["ids"][0], env.docname, 0, list(parse_citation_targets(key)))
    )
    return reference


def link(env: BuildEnvironment, target: str, text: str = "", *, kind: str = "ref") -> addnodes.pending_xref:
    """Return a link to a label (``kind`` "ref") or to a page ("doc"); without text, a page's title is the text.

    Args:
        env: Sphinx's environment.
        target: label, or page name from the root of the course.
        text: what the link says.
        kind: ``ref`` or ``doc``.

    Returns:
        A reference that Sphinx resolves.
    """
    reference = addnodes.pending_xref(
        "",
        nodes.inline(text, text, classes=["std", f"std-{kind}"]),
        refdomain="std",
        reftype=kind,
        reftarget=target if kind == "ref" else f"/{target}",
        refdoc=env.docname,
    )
    reference["refexplicit"], reference["refwarn"] = bool(text), True
    return reference

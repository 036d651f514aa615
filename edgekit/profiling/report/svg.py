"""A chart as SVG that belongs to the page: its colours and font come from the page, and it is one picture to a
screen reader."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

_SVG = "http://www.w3.org/2000/svg"
#: What Vega writes for its own accessibility, tooltips and runtime; here the whole chart is one picture with a text.
_SURPLUS = re.compile(r"^(aria-.*|role|class|pointer-events|font-family|version|opacity)$")


def draw(chart: Any, identifier: str, title: str) -> str:
    """The Altair *chart* as an ``<svg>`` that can stand in an HTML page.

    Args:
        identifier: Unique in the page; ids in the drawing begin with it.
        title: What a screen reader says.
    """
    from vl_convert import vegalite_to_svg

    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(vegalite_to_svg(chart.to_dict(validate=False)))
    _clean(root, identifier)
    _prune(root)
    width, height = root.attrib.pop("width"), root.attrib.pop("height")
    root.attrib.update({"viewBox": f"0 0 {width} {height}", "role": "img", "aria-labelledby": f"{identifier}-title"})
    element = ElementTree.Element(f"{{{_SVG}}}title", {"id": f"{identifier}-title"})
    element.text = title
    root.insert(0, element)
    return ElementTree.tostring(root, encoding="unicode")


def _clean(root: ElementTree.Element, identifier: str) -> None:
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if _SURPLUS.match(name) and not (name == "opacity" and value != "1"):
                del element.attrib[name]
            elif name == "id":
                element.set(name, f"{identifier}-{value}")
            elif "url(#" in value:
                element.set(name, value.replace("url(#", f"url(#{identifier}-"))


def _prune(parent: ElementTree.Element) -> None:
    """Without groups and paths that draw nothing, which are a third of what Vega writes."""
    for child in list(parent):
        _prune(child)
        empty_path = child.tag.endswith("}path") and (not child.get("d") or child.get("d") == "M0,0h0v0h0Z")
        empty_group = child.tag.endswith("}g") and len(child) == 0
        invisible = child.get("display") == "none"
        if empty_path or empty_group or invisible:
            parent.remove(child)

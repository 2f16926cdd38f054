"""The panel on the first page asks for what there is to ask for, within its ranges."""

import re

from core.options import JobOptions

FIELD = re.compile(r'<(input|select) [^>]*name="(\w+)"[^>]*>')


def page(site, password):
    return site.browser(site.user("grace", password=password)).get("/").text


def fields(text):
    """The panel's fields by name, each as the attributes of its tag."""
    panel = text.partition('id="options"')[2].partition("</form>")[0]
    found = {match[2]: dict(re.findall(r'([\w-]+)="([^"]*)"', match[0])) for match in FIELD.finditer(panel)}
    choices = {
        name: re.findall(r'<option value="([^"]*)"', inner)
        for name, inner in re.findall(r'<select [^>]*name="(\w+)"[^>]*>(.*?)</select>', panel, re.DOTALL)
    }
    return found, choices


def test_the_panel_offers_every_option_and_nothing_else(site, password):
    found, choices = fields(page(site, password))
    schema = JobOptions.model_json_schema()["properties"]
    assert set(found) == set(schema)
    for name in ("saturation", "quality"):
        ends = {"min": schema[name]["minimum"], "max": schema[name]["maximum"], "value": schema[name]["default"]}
        assert {end: float(found[name][end]) for end in ends} == ends
    for name in ("output_format", "color_input"):
        assert choices[name] == schema[name]["enum"]
        assert choices[name][0] == schema[name]["default"]
    for size in choices["network_edge_px"][1:]:
        assert JobOptions.model_validate({"network_edge_px": size}).network_edge_px == int(size)
    assert choices["network_edge_px"][0] == ""

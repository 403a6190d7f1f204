import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from keras_dynamonet.reports import Classification, Report, render_html, write_report
from tests.reports import samples

VOID = {"meta", "link", "img", "source", "br", "wbr", "use"}


class Page(HTMLParser):
    """Collects what the tests ask of a page and checks that its tags nest."""

    def __init__(self, html: str):
        super().__init__()
        self.text, self.links, self.ids, self.images = [], [], [], []
        self.open, self.svgs = [], 0
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.read(tag, dict(attrs))

    def handle_startendtag(self, tag, attrs):
        self.read(tag, dict(attrs))

    def read(self, tag, attributes):
        self.svgs += tag == "svg"
        if tag == "img":
            self.images.append(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        for name in ("src", "srcset", "href", "xlink:href", "data", "poster", "action"):
            if name in attributes:
                self.links.append(attributes[name])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


@pytest.fixture(scope="module")
def html():
    return render_html(samples.report())


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_page_loads_nothing_from_elsewhere(html, page):
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert "http" not in html
    assert "<script" not in html
    assert "@import" not in html
    assert all(url.startswith("#") for url in re.findall(r"url\((.*?)\)", html))


def test_links_within_the_page_have_a_target(page):
    targets = {link[1:] for link in page.links if link.startswith("#")}
    assert targets
    assert targets <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_every_part_is_there(page):
    # Confusion matrix, accuracy per class, four curves, two movements of filters.
    assert page.svgs == 8
    # Task, two strips of five, two rows of filters, two examples, one command.
    assert len(page.images) == 4 + 10 + 2 + 2 + 1
    assert all(image["alt"] for image in page.images)
    sections = "task recognition learning frames filters examples command made limits"
    assert [name for name in page.ids if name in sections.split()] == sections.split()


def test_numbers_match_what_was_put_in(page):
    assert "33 of 40 held-out videos" in page.words
    assert "82.5 %" in page.words
    assert "50 %" in page.words
    # Sit/rise and bow/bow_back taken together: 39 of 40.
    assert "97.5 % would be right" in page.words
    assert "26.0 dB" in page.words
    assert "+1.00 dB" in page.words
    assert "by 0.25 dB on the one frame it has not seen" in page.words
    assert "21.8 dB" in page.words
    assert "peak memory1.2 GiB" in page.words.replace(" 1.2", "1.2")
    assert "in all" in page.words and "1 min 15 s" in page.words
    assert "dynamonet demo --seed 3" in page.words


def test_wrong_examples_are_told_apart(page):
    assert "✓ sit" in page.words
    assert "✗ rise, named sit" in page.words


def test_a_bare_report_has_no_empty_sections():
    page = Page(render_html(Report("Nothing yet")))
    assert page.ids == []
    assert page.images == []
    assert page.words.startswith("Nothing yet")


@pytest.mark.parametrize(
    "part",
    [
        "classification",
        "frame_prediction",
        "history",
        "task_intro",
        "task",
        "strips",
        "filters",
        "examples",
        "command_shown",
        "provenance",
        "limits",
    ],
)
def test_each_part_stands_alone(part):
    alone = Report("Alone", **{part: getattr(samples.report(), part)})
    page = Page(render_html(alone))
    assert len([name for name in page.ids if name.isalpha()]) == 1


def test_markup_in_names_is_shown_as_text():
    nasty = "<script>alert('$x^2$')</script> & id=\"co\" url(#010103)"
    names = (nasty, "rise", "日本語", "a_rather_long_name_of_a_class_" * 3)
    result = samples.classification(class_names=names)
    report = replace(
        samples.report(),
        title=nasty,
        classification=result,
        task=[samples.loop(nasty)],
        limits=[nasty],
    )
    html = render_html(report)
    assert "<script" not in html
    words = Page(html).words
    assert words.count(nasty) >= 4
    assert "日本語" in words


def test_without_an_order_blind_ceiling_none_is_mentioned():
    result = samples.classification(order_blind_ceiling=None, opposites=())
    report = Report("Plain", classification=result, history={"accuracy": [0.1, 0.2]})
    words = Page(render_html(report)).words
    assert "order" not in words.lower()
    assert "guessing 25 %" in words


def test_a_hundred_classes_stay_small_and_complete():
    rng = np.random.default_rng(0)
    names = [f"class{i:03d}" for i in range(101)]
    confusion = rng.integers(0, 3, (101, 101)) + np.diag(rng.integers(5, 30, 101))
    result = Classification(names, confusion, top5_accuracy=0.75)
    html = render_html(Report("Many", classification=result))
    page = Page(html)
    assert page.svgs == 1 + 3
    assert len(html) < 1_000_000
    assert "Most frequent mistakes" in page.words
    assert "first five in 75 %" in page.words
    # In the matrix twice, in one accuracy chart, in the table.
    assert all(page.words.count(name) >= 4 for name in names)


def test_a_notice_stands_out():
    words = Page(render_html(Report("Demo", notice="A shortened run."))).words
    assert "A shortened run." in words


def test_the_same_report_gives_the_same_page(html):
    assert render_html(samples.report()) == html


def test_writing_replaces_the_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "new" / "report.html"
    for title in ("First", "Second"):
        assert write_report(Report(title), path) == path
    assert "<title>Second</title>" in path.read_text(encoding="utf-8")
    assert list(path.parent.iterdir()) == [path]


def test_figures_follow_the_font_of_the_page(html):
    styles = re.findall(r'style="([^"]*)"', html)
    assert any("font-size:" in style for style in styles)
    assert not [style for style in styles if "font-family" in style]


def test_names_need_not_be_utf_8(tmp_path):
    path = write_report(Report("caf\udce9"), tmp_path / "report.html")
    assert "<title>caf?</title>" in path.read_text(encoding="utf-8")

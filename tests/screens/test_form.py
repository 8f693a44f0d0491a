"""A form is one widget: its lines, what moves in it, and the text field laid over the line being edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from screens.form import Form
from screens.form_fields import NO, YES_NO, Field, Kind
from tests.widgets.showing import Showing, seen

if TYPE_CHECKING:
    from textual.pilot import Pilot

FIELDS = [
    Field("name", "Name", value="one"),
    Field("on", "On", Kind.CHOICE, NO, YES_NO),
    *(Field(f"p{number}", f"p{number}", Kind.WHOLE, "5", minimum="1", maximum="9") for number in range(20)),
]
FIELDS[2] = Field("p0", "p0", Kind.WHOLE, "5", minimum="1", maximum="9", heading="Parameters")


async def shown(pilot: Pilot[None], form: Form) -> list[str]:
    await pilot.pause()
    form.drain()
    await pilot.pause()
    return seen(form)


def short(form: Form) -> Showing:
    return Showing(form, css="Form { height: 8; }")


async def test_the_line_being_edited_is_always_in_sight_with_its_field_upon_it() -> None:
    form = Form(FIELDS)
    async with short(form).run_test(size=(80, 24)) as pilot:
        form.focus()
        for step in range(len(FIELDS)):
            lines = await shown(pilot, form)
            label = FIELDS[step].label
            row = next(number for number, line in enumerate(lines) if line.startswith(f"▸ {label}"))
            field = form.query_one(Input)
            if FIELDS[step].kind is Kind.CHOICE:
                assert form.has_focus
                assert not field.display
            else:
                assert field.has_focus
                assert field.region.y == form.content_region.y + row
            form.move_by(1)
        assert form.field.name == "name"


async def test_a_heading_comes_into_sight_with_the_first_field_below_it() -> None:
    form = Form(FIELDS)
    async with short(form).run_test(size=(80, 24)) as pilot:
        form.go("p9")
        await shown(pilot, form)
        form.go("p0")
        lines = await shown(pilot, form)
        assert "Parameters" in lines[lines.index(next(line for line in lines if "▸ p0" in line)) - 1]


async def test_what_is_typed_is_judged_and_shown_at_once() -> None:
    form = Form(FIELDS)
    async with Showing(form).run_test(size=(80, 30)) as pilot:
        form.focus()
        form.go("p1")
        await pilot.press("end", "7")
        lines = await shown(pilot, form)
        assert form.texts["p1"] == "57"
        assert any("✗ a whole number, 1 to 9" in line for line in lines)
        assert form.faults() == {"p1": "a whole number, 1 to 9"}
        await pilot.press("backspace", "backspace", "6")
        lines = await shown(pilot, form)
        assert any("was 5 · 1 to 9" in line for line in lines)
        form.restore()
        assert form.texts["p1"] == "5"


async def test_a_figure_is_replaced_by_what_is_typed_on_arrival_and_not_while_it_is_typed() -> None:
    form = Form(FIELDS)
    async with Showing(form).run_test(size=(80, 30)) as pilot:
        form.focus()
        form.go("p1")
        await pilot.press("1")
        form.set_fields(FIELDS)
        await pilot.press("2")
        await shown(pilot, form)
        assert form.texts["p1"] == "12"
        form.move_by(1)
        form.move_by(-1)
        await pilot.press("8")
        await shown(pilot, form)
        assert form.texts["p1"] == "8"


async def test_letters_of_movement_are_text_in_a_text() -> None:
    form = Form(FIELDS)
    async with Showing(form).run_test(size=(80, 30)) as pilot:
        form.focus()
        await pilot.press(*"jklhgG", "space", "slash")
        assert form.texts["name"] == "onejklhgG /"


async def test_a_choice_turns_with_the_arrows_and_space_and_shows_its_words() -> None:
    form = Form(FIELDS)
    async with Showing(form).run_test(size=(80, 30)) as pilot:
        form.focus()
        form.go("on")
        await pilot.press("right")
        assert form.texts["on"] == "yes"
        assert any("‹ yes ›" in line for line in await shown(pilot, form))
        await pilot.press("space", "left", "h", "l")
        assert form.texts["on"] == "yes"


async def test_steps_stay_inside_the_bounds() -> None:
    form = Form(FIELDS)
    async with Showing(form).run_test(size=(80, 30)):
        form.go("p1")
        form.step(3)
        assert form.texts["p1"] == "8"
        form.step(3)
        assert form.texts["p1"] == "8"


async def test_other_fields_keep_what_a_person_wrote_and_take_the_rest_anew() -> None:
    form = Form([Field("a", "A", value="1"), Field("b", "B", value="2")])
    async with Showing(form).run_test(size=(80, 30)):
        form.put("a", "mine")
        form.set_fields([Field("a", "A", value="9"), Field("b", "B", value="8"), Field("c", "C", value="7")])
        assert form.texts == {"a": "mine", "b": "8", "c": "7"}


async def test_blame_stays_until_its_field_changes() -> None:
    form = Form(FIELDS)
    async with Showing(form).run_test(size=(80, 30)) as pilot:
        form.blame({"p3": "must be below p4", "unknown": "no field"})
        assert form.field.name == "p3"
        assert any("must be below p4" in line for line in await shown(pilot, form))
        form.put("p3", "2")
        assert not any("must be below p4" in line for line in await shown(pilot, form))


async def test_hostile_text_is_cleaned_and_every_line_has_the_width() -> None:
    wild = "[red]x[/] \x1b[31m漢字" * 5
    form = Form([Field("a", wild, value=wild, unit=wild, help=wild), Field("b", "B", Kind.CHOICE, "x", (("x", wild),))])
    async with Showing(form).run_test(size=(60, 10)) as pilot:
        await shown(pilot, form)
        width = form.content_size.width
        assert {form.render_line(y).cell_length for y in range(form.content_size.height)} == {width}
        assert not any("\x1b" in line for line in seen(form))


async def test_the_cursor_does_not_blink() -> None:
    form = Form(FIELDS)
    async with Showing(form).run_test(size=(80, 30)):
        assert not form.query_one(Input).cursor_blink

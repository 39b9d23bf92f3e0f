"""PROTOCOL.md tells of every message and every field, with its limits and default."""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from msgspec import NODEFAULT, inspect

from diegetic_bridge.messages import (
    DEFAULT_ENDPOINT,
    MAX_AHEAD,
    MAX_MESSAGE_BYTES,
    MAX_PART_BYTES,
    BusSpec,
    ClientMessage,
    DuckSpec,
    EventSpec,
    ParameterSpec,
    PcmSpec,
    ServerMessage,
    SnapshotSpec,
    SwitchSpec,
)

DOCUMENT = (Path(__file__).parents[1] / "engine_bridge" / "PROTOCOL.md").read_text(encoding="utf-8")
SPECS = (ParameterSpec, SwitchSpec, EventSpec, BusSpec, DuckSpec, SnapshotSpec, PcmSpec)
STRUCTS: dict[str, type[msgspec.Struct]] = {
    **{
        str(kind.__struct_config__.tag): kind
        for kind in (*get_args(ClientMessage), *get_args(ServerMessage))
    },
    **{kind.__name__: kind for kind in SPECS},
}


def number(value: float) -> str:
    if isinstance(value, int):
        return "2^53" if value == 2**53 else str(value)
    return f"{value:g}".replace("e+0", "e").replace("e+", "e")


def most(limit: int | None) -> str:
    return "" if limit is None else f"[≤{limit}]"


def wire(kind: inspect.Type) -> str:
    """A field's type and limits, as the document writes them."""
    match kind:
        case inspect.FloatType() | inspect.IntType():
            name = "float" if isinstance(kind, inspect.FloatType) else "int"
            low = "" if kind.ge is None else f"[{number(kind.ge)}…"
            low = low if kind.gt is None else f"({number(kind.gt)}…"
            high = ")" if kind.le is None else f"{number(kind.le)}]"
            high = high if kind.lt is None else f"{number(kind.lt)})"
            return f"{name}{low}{high}" if low else name
        case inspect.StrType():
            return (
                "str"
                if kind.max_length is None
                else f"str[{kind.min_length or 0}…{kind.max_length}]"
            )
        case inspect.BytesType():
            return f"bytes{most(kind.max_length)}"
        case inspect.ListType():
            span = (
                f"[{kind.min_length}…{kind.max_length}]"
                if kind.min_length
                else most(kind.max_length)
            )
            return f"list{span} of {wire(kind.item_type)}"
        case inspect.DictType():
            return f"map{most(kind.max_length)} of {wire(kind.key_type)} to {wire(kind.value_type)}"
        case inspect.TupleType():
            return f"{len(kind.item_types)} × {wire(kind.item_types[0])}"
        case inspect.UnionType():
            return " or ".join(wire(part) for part in kind.types)
        case inspect.LiteralType():
            return ", ".join(f"`{value}`" for value in kind.values)
        case inspect.StructType():
            return kind.cls.__name__
        case inspect.NoneType():
            return "nil"
        case inspect.BoolType():
            return "bool"
    raise AssertionError(f"the document has no word for {kind}")


def shown_default(field: inspect.Field) -> str:
    if field.default_factory is not NODEFAULT:
        return "{}" if field.default_factory is dict else "[]"
    match field.default:
        case None:
            return "nil"
        case bool() | tuple() as value:
            return str(value).lower().strip("()")
        case str() as value:
            return f'"{value}"'
        case int() | float() as value:
            return number(value)
    return "needed"


def rows(kind: type[msgspec.Struct]) -> list[tuple[str, str, str]]:
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    return [
        (field.encode_name, wire(field.type), shown_default(field)) for field in described.fields
    ]


@pytest.mark.parametrize("name", STRUCTS)
def test_every_field_is_there_with_its_limits_and_default(name: str) -> None:
    section = re.search(rf"^### {name}\b.*?(?=^##|\Z)", DOCUMENT, re.DOTALL | re.MULTILINE)
    assert section is not None, f"no section for {name}"
    written = [
        tuple(cell.strip().strip("*") for cell in line.strip("|").split("|")[:3])
        for line in section[0].splitlines()
        if line.startswith("| `")
    ]
    assert written == [
        (f"`{field}`", kind, default) for field, kind, default in rows(STRUCTS[name])
    ]


def test_the_limits_of_transport_are_those_of_the_code() -> None:
    for text in (
        DEFAULT_ENDPOINT,
        f"{MAX_MESSAGE_BYTES // 2**20} MiB",
        f"{MAX_PART_BYTES // 2**20} MiB",
        f"{MAX_AHEAD:g} s ahead",
    ):
        assert text in DOCUMENT


def test_every_code_of_an_error_is_explained() -> None:
    for code in re.findall(
        r"`code` is one of: (.*?)\. A", STRUCTS["error"].__doc__ or "", re.DOTALL
    ):
        for name in re.sub(r"\(.*?\)", "", code, flags=re.DOTALL).split(","):
            assert f"| `{name.strip()}` |" in DOCUMENT, name

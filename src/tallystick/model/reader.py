# SPDX-License-Identifier: Apache-2.0
"""Reads a receipt from a JSON value and tells every fault, where the fast parser stops at one.

The rules are not written down a second time: they are taken from the typed values themselves
(`msgspec.inspect`), so the fast and the explaining reader can't drift apart. A member that is
refused is `None` in the value that comes back, whatever its type says; what is left is enough to go
on looking for further faults.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from tallystick.crypto.strict import parse_json
from tallystick.errors import EnvelopeError, ReceiptError
from tallystick.limits import FINDINGS_MAX, IDENTIFIER_CHARS_MAX, RECEIPT_BYTES_MAX
from tallystick.model.disclosure import DisclosureEnvelope, disclosure_fault, parse_envelope
from tallystick.model.receipt import (
    LOOSE_ID_VERSIONS,
    RUNTIME_TEXTS,
    WIRE_REQUIRED,
    CredentialSubject,
    Receipt,
)
from tallystick.model.shapes import (
    ACTION_ID_PATTERN,
    HASH_PATTERN,
    ID_PATTERN,
    INSTANT_PATTERN,
    PROOF_VALUE_PATTERN,
)

_RUNTIME = "/issuer/runtime"
_CODE_BY_PLACE = {
    "/version": "VERSION_UNKNOWN",
    "/type": "TYPE_WRONG",
    "/@context": "CONTEXT_WRONG",
    "/proof/type": "PROOF_TYPE",
    "/proof/proofPurpose": "PROOF_PURPOSE",
    "/credentialSubject/keyRotation/new_public_key": "ROTATION_KEY_ENCODING",
}
_CODE_BY_PATTERN = {
    ID_PATTERN: "ID_SHAPE",
    ACTION_ID_PATTERN: "ID_SHAPE",
    HASH_PATTERN: "HASH_SHAPE",
    INSTANT_PATTERN: "TIMESTAMP_SHAPE",
}
_SHAPE_NAMES = {
    ID_PATTERN: "urn:receipt:<uuid in lower case>",
    ACTION_ID_PATTERN: "act_<uuid in lower case>",
    HASH_PATTERN: "sha256:<64 lower-case hex digits>",
    INSTANT_PATTERN: "an RFC 3339 timestamp",
}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a value, and where."""

    code: str
    where: str
    message: str
    expected: str = ""
    found: str = ""


def read_receipt(value: object) -> tuple[Receipt | None, list[Fault]]:
    """Return what could be read of a receipt, and all faults of its shape."""
    reading = _Reading(_version_of(value))
    receipt = reading.read(_spec(), value, "")
    return (receipt if isinstance(receipt, Receipt) else None), reading.faults


def parse_receipt(data: bytes) -> Receipt:
    """Return the receipt in `data`: strict JSON of the protocol's shape, or a refusal.

    Parsing proves nothing about the signature: that is `verify_receipt`.
    """
    receipt, faults = read_receipt(parse_json(data, RECEIPT_BYTES_MAX))
    for fault in faults:
        # Members that we don't know would be lost on the way out, and the signature with them.
        if fault.code != "id_shape_legacy":
            raise ReceiptError(fault.message, fault.where)
    if receipt is None:
        raise ReceiptError("is not an object")
    return receipt


def without_nulls(value: object) -> tuple[Any, list[str]]:
    """Return a copy without the nulls of optional members, and where they stood."""
    places: list[str] = []
    return _strip(_spec(), value, "", places), places


@cache
def _spec() -> inspect.Type:
    return inspect.type_info(Receipt)


def _version_of(value: object) -> str:
    version = value.get("version") if isinstance(value, dict) else None
    return version if isinstance(version, str) else ""


def _not_none(spec: inspect.Type) -> tuple[inspect.Type, bool]:
    """Return the type without `| None`, and whether `None` was among its members."""
    if isinstance(spec, inspect.UnionType):
        others = [member for member in spec.types if not isinstance(member, inspect.NoneType)]
        return others[0], len(others) < len(spec.types)
    return spec, False


def _is_nullable_on_wire(field: inspect.Field) -> bool:
    # A member that is both required and `| None`: only chain.previous_receipt_hash.
    return field.required and _not_none(field.type)[1]


class _Reading:
    """One pass over one value."""

    def __init__(self, version: str) -> None:
        self.faults: list[Fault] = []
        self._told: Counter[str] = Counter()
        self.loose_ids = version in LOOSE_ID_VERSIONS

    def fault(self, code: str, where: str, message: str, expected: str, value: object) -> None:
        code = _CODE_BY_PLACE.get(where, code)
        # A megabyte holds half a million faults. Of each code enough are kept to fill a report.
        self._told[code] += 1
        if self._told[code] > FINDINGS_MAX:
            return
        self.faults.append(
            Fault(
                code=code,
                where=where,
                message=message,
                expected=expected,
                found=spell(value),
            )
        )

    def read(self, spec: inspect.Type, value: object, where: str) -> Any:
        spec, _ = _not_none(spec)
        if isinstance(spec, inspect.Metadata):
            pattern = (spec.extra or {})["pattern"]
            return self.read_shape(pattern, self.read(spec.type, value, where), where)
        if isinstance(spec, inspect.StructType):
            if spec.cls is DisclosureEnvelope:
                return self.read_envelope(value, where)
            return self.read_object(spec, value, where)
        if isinstance(spec, inspect.DictType):
            return self.read_open(value, where)
        if isinstance(spec, inspect.StrType):
            return self.read_text(spec, value, where)
        if isinstance(spec, inspect.IntType):
            return self.read_integer(spec, value, where)
        if isinstance(spec, inspect.BoolType):
            if type(value) is bool:
                return value
            return self.fault("FIELD_TYPE", where, "is not a boolean", "true or false", value)
        if isinstance(spec, inspect.LiteralType):
            if isinstance(value, str) and value in spec.values:
                return value
            expected = " or ".join(repr(choice) for choice in spec.values)
            code = "FIELD_VALUE" if isinstance(value, str) else "FIELD_TYPE"
            return self.fault(code, where, "is not a value that is allowed here", expected, value)
        if isinstance(spec, (inspect.VarTupleType, inspect.TupleType)):
            return self.read_array(spec, value, where)
        raise AssertionError(f"no rule for {spec}")  # a new kind of member needs one

    def read_object(self, spec: inspect.StructType, value: object, where: str) -> Any:
        if type(value) is not dict:
            return self.fault("FIELD_TYPE", where, "is not an object", "an object", value)
        known = {field.encode_name for field in spec.fields}
        # The subject is open by the schema: what is unknown there is signed and reported.
        code = "unrecognised_fields" if spec.cls is CredentialSubject else "FIELD_UNKNOWN"
        for name in value:
            if name not in known:
                place = f"{where}/{escape(name)}"
                self.fault(code, place, "is not a member here", "", value[name])
        members: dict[str, Any] = {}
        for field in spec.fields:
            place = f"{where}/{field.encode_name}"
            required = field.required or (spec.cls, field.encode_name) in WIRE_REQUIRED
            if field.encode_name not in value:
                members[field.name] = None
                if required:
                    code = "PROOF_MISSING" if place == "/proof" else "FIELD_MISSING"
                    self.fault(code, place, "is missing", "a value", None)
            elif value[field.encode_name] is None and not _is_nullable_on_wire(field):
                members[field.name] = None
                if required:
                    self.fault("FIELD_TYPE", place, "is null", "a value", None)
                else:
                    self.fault("FIELD_NULL", place, "is null, not absent", "no member", None)
            elif value[field.encode_name] is None:
                members[field.name] = None
            else:
                members[field.name] = self.read(field.type, value[field.encode_name], place)
        return spec.cls(**members)

    def read_open(self, value: object, where: str) -> Any:
        if type(value) is not dict:
            return self.fault("FIELD_TYPE", where, "is not an object", "an object", value)
        if where == _RUNTIME:
            for name in RUNTIME_TEXTS:
                if name in value and type(value[name]) is not str:
                    place = f"{where}/{name}"
                    if value[name] is None:
                        self.fault("FIELD_NULL", place, "is null, not absent", "no member", None)
                    else:
                        self.fault("FIELD_TYPE", place, "is not text", "text", value[name])
        elif (fault := disclosure_fault(value)) is not None:
            return self.fault("FIELD_VALUE", where, fault, "an HPKE envelope or flat text", value)
        return value

    def read_text(self, spec: inspect.StrType, value: object, where: str) -> str | None:
        if type(value) is not str:
            self.fault("FIELD_TYPE", where, "is not text", "text", value)
            return None
        if spec.max_length is not None and len(value) > spec.max_length:
            expected = f"at most {spec.max_length} characters"
            self.fault("FIELD_TOO_LONG", where, "is too long", expected, value)
            return None
        if spec.min_length is not None and len(value) < spec.min_length:
            self.fault("FIELD_VALUE", where, "is empty", "some text", value)
            return None
        return value

    def read_shape(self, pattern: str, value: str | None, where: str) -> str | None:
        if value is None or re.fullmatch(pattern, value):
            return value
        if pattern == PROOF_VALUE_PATTERN:
            code, message = proof_value_fault(value)
            self.fault(code, where, message, "u and 86 characters of base64url", value)
            return None
        code = _CODE_BY_PATTERN.get(pattern, "FIELD_VALUE")
        expected = _SHAPE_NAMES.get(pattern, pattern)
        if code == "ID_SHAPE" and self.loose_ids and len(value) <= IDENTIFIER_CHARS_MAX:
            self.fault("id_shape_legacy", where, "has an old shape", expected, value)
            return value
        self.fault(code, where, "has the wrong shape", expected, value)
        return None

    def read_envelope(self, value: object, where: str) -> DisclosureEnvelope | None:
        try:
            return parse_envelope(value)
        except EnvelopeError as fault:
            self.fault("FIELD_VALUE", where, str(fault), "an HPKE envelope", value)
            return None

    def read_integer(self, spec: inspect.IntType, value: object, where: str) -> int | None:
        if type(value) is not int:
            self.fault("FIELD_TYPE", where, "is not an integer", "an integer", value)
            return None
        if (spec.ge is not None and value < spec.ge) or (spec.le is not None and value > spec.le):
            self.fault("FIELD_VALUE", where, "is out of range", f"{spec.ge} to {spec.le}", value)
            return None
        return value

    def read_array(
        self, spec: inspect.VarTupleType | inspect.TupleType, value: object, where: str
    ) -> tuple[Any, ...] | None:
        if type(value) is not list:
            self.fault("FIELD_TYPE", where, "is not an array", "an array", value)
            return None
        if isinstance(spec, inspect.TupleType):
            expected = [kind.values[0] for kind in spec.item_types]  # type: ignore[attr-defined]  # literals
            if value == expected:
                return tuple(value)
            self.fault("FIELD_VALUE", where, "is not what it must be", str(expected), value)
            return None
        if spec.min_length is not None and len(value) < spec.min_length:
            self.fault("FIELD_VALUE", where, "has too few items", f"{spec.min_length}", value)
            return None
        items = [
            self.read(spec.item_type, item, f"{where}/{index}") for index, item in enumerate(value)
        ]
        return None if None in items else tuple(items)


def proof_value_fault(text: str) -> tuple[str, str]:
    """Return (code, message) for a proofValue that is not the one spelling of 64 bytes."""
    if not text.startswith("u"):
        return "SIGNATURE_PREFIX", "does not begin with the multibase letter u"
    if any(character.isspace() for character in text):
        return "SIGNATURE_WHITESPACE", "holds white space"
    if "=" in text:
        return "SIGNATURE_PADDED", "is padded"
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        return "SIGNATURE_ALPHABET", "holds characters outside base64url"
    if len(text) != 87:
        return "SIGNATURE_LENGTH", f"spells {len(text) - 1} characters, not 86"
    return "SIGNATURE_TRAILING_BITS", "has unused bits that are not zero"


def escape(name: str) -> str:
    """Return a member's name as one step of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def spell(value: object) -> str:
    """Return a short text for a value that was found in untrusted input."""
    if isinstance(value, str):
        return repr(value[:120])
    if isinstance(value, dict):
        return f"an object with {len(value)} members"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)[:40]


def _strip(spec: inspect.Type, value: object, where: str, places: list[str]) -> Any:
    spec, _ = _not_none(spec)
    if type(value) is not dict:
        return value
    if where == _RUNTIME:  # open: of its members the protocol declares these, and only these
        for name in RUNTIME_TEXTS:
            if name in value and value[name] is None:
                value = {other: value[other] for other in value if other != name}
                places.append(f"{where}/{name}")
        return value
    if not isinstance(spec, inspect.StructType):
        return value
    kept = dict(value)
    for field in spec.fields:
        name = field.encode_name
        if name not in kept:
            continue
        required = field.required or (spec.cls, name) in WIRE_REQUIRED
        if kept[name] is None and not required:
            del kept[name]
            places.append(f"{where}/{name}")
        else:
            kept[name] = _strip(field.type, kept[name], f"{where}/{name}", places)
    return kept

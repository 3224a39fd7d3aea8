"""Protobuf messages, looked at before they are parsed: how many entries there are.

Once it is read an entry takes about a hundred bytes, however short it is: 20 MB of empty nodes would take 2
GB.
"""
from .files import ModelFileError
from .limits import MAX_FIELDS

NUMBER, BYTES = 0, 2  # how an entry is written
SIZES = {1: 8, 3: 0, 4: 0, 5: 4}  # bytes of the others: numbers, and the marks around groups


def check_fields(data, descriptor):
    """Refuse a serialised message with more than MAX_FIELDS entries, those of its parts included.

    descriptor: of the message's type. What is damaged is left to the parser.
    """
    count, known, waiting = 0, {}, [(0, len(data), descriptor)]
    while waiting:
        position, end, kind = waiting.pop()
        if kind.full_name not in known:
            known[kind.full_name] = {number: field.message_type for number,
                                     field in kind.fields_by_number.items()}
        while position < end:
            count += 1
            if count > MAX_FIELDS:
                raise ModelFileError(f"more than {MAX_FIELDS:,} entries, weights aside: no model needs so "
                                     "many")
            tag, position = varint(data, position)
            wire, part = tag & 7, known[kind.full_name].get(tag >> 3)
            if wire == BYTES:
                length, position = varint(data, position)
                after = min(position + length, end)
                if part is not None:  # go into it, and on after it later
                    waiting += [(after, end, kind), (position, after, part)]
                    break
                position = after
            elif wire == NUMBER:
                _, position = varint(data, position)
            elif wire in SIZES:
                position += SIZES[wire]
            else:  # the parser refuses it
                break


def varint(data, position):
    """(the number in base 128 that begins at a position, the position after it); 0 at the end of the data."""
    number = shift = 0
    while position < len(data):
        byte = data[position]
        number |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128 or shift > 63:
            break
    return number, position

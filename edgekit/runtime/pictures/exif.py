"""Which way a picture is turned, of all that EXIF data say.

Exif 2.32 (CIPA DC-008), 4.6.2 and 4.6.4: a TIFF directory, in which tag 0x0112 is one SHORT.
"""

from __future__ import annotations

import struct

UPRIGHT = 1
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION = 0x0112
_SHORT = 3


def orientation(data: bytes) -> int:
    """1 to 8, from a TIFF header on; 1 when *data* do not say it as the standard has it."""
    try:
        order = _BYTE_ORDERS[data[:4]]
        (place,) = struct.unpack_from(f"{order}I", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, place)
        for index in range(entries):
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", data, place + 2 + 12 * index)
            if tag == _ORIENTATION:
                return value if (kind, count) == (_SHORT, 1) and UPRIGHT <= value <= 8 else UPRIGHT
    except (KeyError, struct.error):
        pass  # broken; viewers show the picture as it is stored
    return UPRIGHT

"""How the library h2 is set up as a client of origins."""

from __future__ import annotations

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings

from imgforge.sources.http.http2_frames import LARGEST_FRAME
from imgforge.sources.http.http2_headers import LARGEST_HEAD

__all__ = ["MOST_STREAMS", "STREAM_WINDOW", "client_state_machine", "limit_header_table"]

MOST_STREAMS = 64  # at once, of those that the origin allows
STREAM_WINDOW = 1024 * 1024  # bytes of one response that may be unread
# Unread responses hold up no other: h2 opens a window again when half of it has been read, and the rest has room for
# all that may be unread.
_CONNECTION_WINDOW = 2 * MOST_STREAMS * STREAM_WINDOW
_DEFAULT_WINDOW = 65_535  # of a connection, until it is opened further
_HEADER_TABLE = 4096  # bytes


class _Client(H2Connection):
    MAX_CLOSED_STREAMS = 1024  # remembered, to tell frames that are late from those that are wrong


def client_state_machine() -> H2Connection:
    """A connection that has its preface, its SETTINGS and its window to send."""
    machine = _Client(
        H2Configuration(
            client_side=True,
            header_encoding=None,
            # `request_fields` and `read_head` do these: h2 would end the connection for one malformed response.
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
    )
    machine.local_settings = Settings(
        client=True,
        initial_values={
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_FRAME_SIZE: LARGEST_FRAME,
            SettingCodes.MAX_HEADER_LIST_SIZE: LARGEST_HEAD,
        },
    )
    machine.max_inbound_frame_size = LARGEST_FRAME
    machine.decoder.max_header_list_size = LARGEST_HEAD
    machine.initiate_connection()
    machine.increment_flow_control_window(_CONNECTION_WINDOW - _DEFAULT_WINDOW)
    return machine


def limit_header_table(machine: H2Connection) -> None:
    """Compress headers with a small table, whatever the origin allows: it is searched from end to end."""
    if machine.encoder.header_table_size > _HEADER_TABLE:
        machine.encoder.header_table_size = _HEADER_TABLE

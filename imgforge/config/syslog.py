"""Settings of syslog."""

from typing import Literal

from imgforge.config.fields import Section, setting

__all__ = ["SyslogSettings"]


class SyslogSettings(Section):
    """Log lines in syslog."""

    syslog_enable: bool = setting(
        False,
        description="Send log lines to syslog as well, in the structured format, and the lines of access_log as they "
        "are. Each process sends its own.",
    )
    syslog_level: Literal["", "debug", "info", "warn", "warning", "error", "crit"] = setting(
        "", description="Minimum level of lines for syslog: debug, info, warn, error or crit; empty is log_level."
    )
    syslog_network: Literal["", "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix", "unixgram", "unixpacket"] = (
        setting(
            "",
            description="How syslog is reached: tcp or udp, with 4 or 6 to choose the version of IP, or a unix, "
            "unixgram or unixpacket socket; empty is /dev/log of this machine.",
        )
    )
    syslog_address: str = setting(
        "",
        pattern=r"^[\x21-\x7e]*$",
        description="The address of syslog: host:port, or the path of a unix socket. Required where syslog_network is "
        "set, and else of no effect.",
    )
    syslog_tag: str = setting(
        "imgforge",
        pattern=r"^[\x21-\x7e]+$",
        max_length=64,
        description="The name of the program in syslog, of 1 to 64 printable characters.",
    )

"""Files of callgrind's, and a process under it (bench/callgrind.py)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from bench.callgrind import Callgrind, CallgrindFailed, instructions_by_library, library_group, missing_programs

_VIPS = "/x/pyvips_binary.libs/libvips-e42572c0.so.42"
_PYTHON = "/usr/lib/libpython3.11.so.1.0"
_DUMP = f"""\
# callgrind format
version: 1
pid: 4711
part: 9
desc: Timerange: Basic block 11 - 17
positions: line
events: Ir
summary: 1217

ob=(6) {_PYTHON}
fl=(1) ceval.c
fn=(2) _PyEval_EvalFrameDefault
766 70
+7 60
-3 30
* 7
cob=(54) {_VIPS}
cfi=(3) ???
cfn=(4) 0x3a2ef7
calls=10 224
* 5000

ob=(54)
fn=(4)
0 1000

ob=(6)
fn=(5) tupledealloc
12 50

totals: 1217
"""


class DumpTests(SynchronousTestCase):
    """The instructions of each library in a dump."""

    def test_each_library_has_its_own_lines_and_not_those_of_what_it_calls(self) -> None:
        self.assertEqual(instructions_by_library(_DUMP.splitlines()), Counter({_VIPS: 1000, _PYTHON: 217}))

    def test_sum_is_the_total_of_the_dump(self) -> None:
        self.assertEqual(instructions_by_library(_DUMP.splitlines()).total(), 1217)

    def test_empty_dump_has_no_instructions(self) -> None:
        self.assertEqual(instructions_by_library(["events: Ir", "", "totals: 0"]), Counter())

    def test_files_of_wheels_and_of_a_distribution_have_the_same_groups(self) -> None:
        for file, group in (
            (_VIPS, "libvips, codecs"),
            ("/usr/lib/libvips.so.42", "libvips, codecs"),
            ("/usr/lib/libjpeg.so.62", "libvips, codecs"),
            ("/usr/lib/libglib-2.0.so.0", "libvips, codecs"),
            ("/v/lib/python3.11/site-packages/_cffi_backend.cpython-311-x86_64-linux-gnu.so", "calls into it"),
            ("/v/lib/python3.11/site-packages/_libvips.abi3.so", "calls into it"),
            (_PYTHON, "Python"),
            ("/usr/bin/python3.11", "Python"),
            ("/usr/lib/python3.11/lib-dynload/select.cpython-311-x86_64-linux-gnu.so", "Python"),
            ("/usr/lib/libc.so.6", "C library"),
            ("/usr/lib/libcrypto.so.3", "other"),
            ("???", "other"),
        ):
            self.assertEqual(library_group(file), group, file)


class ProcessTests(SynchronousTestCase):
    """Processes that are told to count."""

    def test_process_that_is_not_under_valgrind_fails_with_its_id(self) -> None:
        if missing_programs():
            raise SkipTest("valgrind is not installed")
        callgrind = Callgrind(Path(self.mktemp()).absolute())
        callgrind.directory.mkdir()
        error = self.assertRaises(CallgrindFailed, callgrind.begin, 1)
        self.assertIn("--pid=1", str(error))

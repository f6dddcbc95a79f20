"""Processing of files without a server: which files, to which names, on which threads."""

from imgforge.cli.offline.file_table import FileTable
from imgforge.cli.offline.input_files import InputFile, find_inputs
from imgforge.cli.offline.new_file import write_file
from imgforge.cli.offline.output_names import OutputNames
from imgforge.cli.offline.processing_run import ProcessOptions, run_processing

__all__ = ["FileTable", "InputFile", "OutputNames", "ProcessOptions", "find_inputs", "run_processing", "write_file"]

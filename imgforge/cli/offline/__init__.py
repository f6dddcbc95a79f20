"""Processing of files without a server: which files, to which names, on which threads."""

from imgforge.cli.offline.input_files import InputFile, find_inputs
from imgforge.cli.offline.new_file import write_file
from imgforge.cli.offline.output_names import OutputNames
from imgforge.cli.offline.processing_run import ProcessOptions, run_processing

__all__ = ["InputFile", "OutputNames", "ProcessOptions", "find_inputs", "run_processing", "write_file"]

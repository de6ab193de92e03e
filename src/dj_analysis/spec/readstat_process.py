"""Script that reads one SPSS or Stata file in a process of its own.

Damaged files can end the library in the middle of a file, and the process with it; run apart, that is one more file that
cannot be read. Started by :mod:`dj_analysis.spec.statfiles` with kind, path and encoding; writes a pickled pair to standard
output: what was read, and what is wrong (``""`` if nothing).
"""

import pickle
import sys
import warnings
from typing import Any

#: A file that asks for more than this is damaged: a number of columns or rows was changed.
MOST_MEMORY = 8 * 2**30


def read(kind: str, path: str, encoding: str) -> dict[str, Any]:
    """Return columns as lists of values with None for missing ones, and the labels of variables and values."""
    import pyreadstat

    reader = pyreadstat.read_sav if kind == "sav" else pyreadstat.read_dta
    warnings.simplefilter("error")  # of a variable that is there twice, the library only warns
    columns, said = reader(path, encoding=encoding or None, output_format="dict")
    rows = len(next(iter(columns.values()), []))
    if said.number_rows is not None and said.number_rows != rows:
        raise ValueError(f"{rows} of {said.number_rows} rows")
    return {
        "columns": {str(name): list(values) for name, values in columns.items()},
        "wordings": dict(said.column_names_to_labels),
        "labels": {name: dict(labels) for name, labels in said.variable_value_labels.items()},
    }


def limit_memory() -> None:
    """Let a damaged file that asks for all memory fail by itself, where the system can limit a process."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a process that ends so leaves no core file


def main(kind: str, path: str, encoding: str) -> None:
    """Write what a file holds, or why it cannot be read, to standard output."""
    limit_memory()
    result: tuple[dict[str, Any] | None, str]
    try:
        result = read(kind, path, encoding), ""
    except Exception as error:  # the library's errors are of many kinds
        result = None, (str(error).splitlines() or [type(error).__name__])[0]
    sys.stdout.buffer.write(pickle.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:4])

"""From a survey export and branch indicators to statements with their uncertainty, and to the quarterly report.

The road data takes, one room after the other:

1. spec: declare the instrument, the units, the bands and rules (``read_codebook``, ``read_units``);
2. measure: compute scores with n and error (``read_survey``, ``score``);
3. judge: state what changed and who needs attention (``compare``, ``trend``, ``alerts``);
4. act: propose measures and follow what is done about it (``propose``, ``track``);
5. publish: the only door out (``protect``, ``heading`` … ``figure``, ``run_report``);
6. a workspace holds it all together (``open_workspace``), ``make_company`` makes one to try.
"""

import lazy_loader as _lazy

__version__ = "0.1.0.dev0"
__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)

from .demo import make_company as make_company
from .errors import DjError as DjError
from .errors import DjWarning as DjWarning
from .judge.alerts import alerts as alerts
from .judge.change import compare as compare
from .judge.contrast import contrast as contrast
from .judge.series import trend as trend
from .measure.scores import score as score
from .measure.sources import read_survey as read_survey
from .publish.blocks import figure as figure
from .publish.blocks import heading as heading
from .publish.blocks import keyfigure as keyfigure
from .publish.blocks import note as note
from .publish.blocks import table as table
from .publish.blocks import text as text
from .publish.disclosure import protect as protect
from .publish.plots import plot_heat as plot_heat
from .publish.plots import plot_response as plot_response
from .publish.plots import plot_scores as plot_scores
from .publish.plots import plot_trend as plot_trend
from .publish.wording import words as words
from .result import Result as Result
from .spec.codebook import read_codebook as read_codebook
from .spec.units import read_units as read_units
from .workspace import open_workspace as open_workspace
from .workspace import run_report as run_report

__version__: str

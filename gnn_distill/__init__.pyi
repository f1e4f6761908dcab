"""The public names, each from the module that defines it."""

from gnn_distill.analyse.gauge import Gauge as Gauge
from gnn_distill.analyse.gauge import fit_gauge as fit_gauge
from gnn_distill.analyse.gauge import fix_gauge as fix_gauge
from gnn_distill.api.distilling import Distilled as Distilled
from gnn_distill.api.distilling import distill as distill
from gnn_distill.api.fits import LinearFit as LinearFit
from gnn_distill.api.fits import PullBack as PullBack
from gnn_distill.api.fits import fit_linear as fit_linear
from gnn_distill.api.fits import pull_back as pull_back
from gnn_distill.api.launch import compose as compose
from gnn_distill.api.launch import distil_tracks as distil_tracks
from gnn_distill.api.launch import run_pipeline as run_pipeline
from gnn_distill.api.loaded import DistilledLaw as DistilledLaw
from gnn_distill.api.loaded import LoadedRun as LoadedRun
from gnn_distill.api.loaded import RecordedMessages as RecordedMessages
from gnn_distill.api.loaded import load_run as load_run
from gnn_distill.api.plots import plot_active_dims as plot_active_dims
from gnn_distill.api.plots import plot_sparsity as plot_sparsity
from gnn_distill.api.sweeps import LoadedSweep as LoadedSweep
from gnn_distill.api.sweeps import Table as Table
from gnn_distill.api.sweeps import load_sweep as load_sweep
from gnn_distill.errors import InputError as InputError

__version__: str

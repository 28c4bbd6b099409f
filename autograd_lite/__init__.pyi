"""The public names of the package, for type checkers: written by tools/make_stubs.py from `_HOME`."""

from autograd_lite import linalg as linalg
from autograd_lite import losses as losses
from autograd_lite import nn as nn
from autograd_lite import optim as optim
from autograd_lite import plot as plot
from autograd_lite.engine.value import Parameter as Parameter
from autograd_lite.engine.value import Value as Value
from autograd_lite.engine.modes import no_grad as no_grad
from autograd_lite.engine.scopes import scope as scope
from autograd_lite.engine.signatures import primitive as primitive
from autograd_lite.engine.lookup import lookup as lookup
from autograd_lite.arrays import array as array
from autograd_lite.derivatives.reverse import gradients as gradients
from autograd_lite.derivatives.transforms import grad as grad
from autograd_lite.derivatives.transforms import hessian as hessian
from autograd_lite.derivatives.transforms import hvp as hvp
from autograd_lite.derivatives.transforms import jacobian as jacobian
from autograd_lite.derivatives.transforms import jvp as jvp
from autograd_lite.derivatives.transforms import value_and_grad as value_and_grad
from autograd_lite.derivatives.transforms import vjp as vjp
from autograd_lite.derivatives.propagation import propagate as propagate
from autograd_lite.derivatives.checking import gradcheck as gradcheck
from autograd_lite.insight.explanation import explain as explain
from autograd_lite.insight.diagnosis import diagnose as diagnose
from autograd_lite.insight.anomaly import detect_anomaly as detect_anomaly
from autograd_lite.insight.anomaly import record_source as record_source
from autograd_lite.insight.anomaly import source_of as source_of
from autograd_lite.folding.program import Program as Program
from autograd_lite.folding.program import fold as fold
from autograd_lite.folding.tracing import compile as compile
from autograd_lite.pictures.drawing import draw as draw
from autograd_lite.pictures.stepper import step as step
from autograd_lite.pictures.explore import explore as explore
from autograd_lite.pictures.quizzes import quiz as quiz
from autograd_lite.pictures.listing import tape as tape
from autograd_lite.pictures.formulas import formula as formula
from autograd_lite.pictures.formulas import to_sympy as to_sympy
from autograd_lite.nn import MLP as MLP
from autograd_lite.nn import Layer as Layer
from autograd_lite.nn import Module as Module
from autograd_lite.nn import Network as Network
from autograd_lite.nn import Neuron as Neuron
from autograd_lite.nn import Perceptron as Perceptron
from autograd_lite.training import History as History
from autograd_lite.training import fit as fit
from autograd_lite.training.minimizing import minimize as minimize
from autograd_lite.version_report import versions as versions
from autograd_lite.files import load as load
from autograd_lite.files import save as save
from autograd_lite.engine.signatures import *

__version__: str

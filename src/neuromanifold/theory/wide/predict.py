"""What training makes of wide networks: `predict` under the names that users of Neural Tangents know."""

from neuromanifold.theory.wide._predict_flow import ODEState as ODEState
from neuromanifold.theory.wide._predict_flow import gradient_descent as gradient_descent
from neuromanifold.theory.wide._predict_gaussian import Gaussian as Gaussian
from neuromanifold.theory.wide._predict_gaussian import gp_inference as gp_inference
from neuromanifold.theory.wide._predict_gaussian import (
    gradient_descent_mse_ensemble as gradient_descent_mse_ensemble,
)
from neuromanifold.theory.wide._predict_mse import gradient_descent_mse as gradient_descent_mse
from neuromanifold.theory.wide._predict_mse import max_learning_rate as max_learning_rate

"""The prior of a Bayesian Gaussian mixture: what is believed before any data.

    z_n ~ Categorical(pi),                      x_n | z_n = k ~ Normal(mu_k, Lambda_k^-1)
    mu_k | Lambda_k ~ Normal(mean, (mean_precision Lambda_k)^-1),    Lambda_k ~ Wishart(scale^-1, degrees)

weights       "dirichlet"       pi ~ Dirichlet(c, ..., c)
              "stick-breaking"  pi_k = v_k prod_{j<k} (1 - v_j), v_k ~ Beta(1, c): a Dirichlet process; the
                                posterior gives no point to sticks beyond the first K, the model has them all
                                (the nested truncation of Kurihara, Welling and Vlassis 2007)
covariance    "full"            Lambda_k ~ Wishart(scale^-1, nu), one a component
              "tied"            one Lambda ~ Wishart(scale^-1, nu) for all
              "diagonal"        (Lambda_k)_dd ~ Gamma(nu/2, scale_d/2)
              "spherical"       Lambda_k = lambda_k 1, lambda_k ~ Gamma(nu/2, scale/2)

In each case the prior mean of the precision is nu / scale. Sources: Attias (1999), Bishop (2006, section
10.2),
Blei and Jordan (2006).
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuromanifold._base import check_choice, check_finite, check_integer, check_real, require

WEIGHTS = ("dirichlet", "stick-breaking")
COVARIANCES = ("full", "tied", "diagonal", "spherical")


class MixturePrior(eqx.Module):
    """The prior of a mixture of at most `n_components` Gaussians.

    Args:
        n_components: K, >= 1; those the data do not need stay empty.
        mean: prior mean of the means, shape (n_features,).
        scale: prior scale of the covariance, the inverse of the Wishart's parameter: (n_features, n_features)
            positive definite for "full" and "tied", (n_features,) > 0 for "diagonal", a number > 0 for
            "spherical".
        degrees_of_freedom: nu, > n_features - 1 for "full" and "tied", > 0 else; None: n_features.
        mean_precision: how many points the prior mean is worth, > 0.
        concentration: c > 0; small values leave more components empty; None: 1 / K.
        weights: "dirichlet" or "stick-breaking".
        covariance: "full", "tied", "diagonal" or "spherical".

    Raises:
        ValueError: an argument outside its range.
    """

    n_components: int = eqx.field(static=True)
    weights: str = eqx.field(static=True)
    covariance: str = eqx.field(static=True)
    mean: Float[Array, " n_features"]
    scale: Float[Array, "..."]
    degrees_of_freedom: Float[Array, ""]
    mean_precision: Float[Array, ""]
    concentration: Float[Array, ""]

    def __init__(
        self,
        n_components: int,
        mean: Any,
        scale: Any,
        *,
        degrees_of_freedom: float | None = None,
        mean_precision: float = 1.0,
        concentration: float | None = None,
        weights: str = "stick-breaking",
        covariance: str = "full",
    ) -> None:
        self.n_components = check_integer("n_components", n_components, 1)
        self.weights = check_choice("weights", weights, WEIGHTS)
        self.covariance = check_choice("covariance", covariance, COVARIANCES)
        mean = check_finite("mean", mean)
        require(mean.ndim == 1 and mean.size > 0, "mean", "have shape (n_features,)", mean.shape)
        n_features = len(mean)
        scale = check_finite("scale", scale)
        matrix = covariance in ("full", "tied")
        shape = {"diagonal": (n_features,), "spherical": ()}.get(covariance, (n_features, n_features))
        require(
            scale.shape == shape, "scale", f"have shape {shape} for covariance {covariance!r}", scale.shape
        )
        if matrix:
            require(np.allclose(scale, scale.T, rtol=1e-5), "scale", "be symmetric", scale.tolist())
            smallest = float(np.linalg.eigvalsh(scale)[0])
            require(smallest > 0, "scale", "be positive definite, with a smallest eigenvalue > 0", smallest)
        else:
            require((scale > 0).all(), "scale", "be > 0", scale.tolist())
        low = n_features - 1 if matrix else 0
        nu = n_features if degrees_of_freedom is None else degrees_of_freedom
        nu = check_real("degrees_of_freedom", nu, low, open_low=True)
        self.mean = jnp.asarray(mean, float if mean.dtype.kind != "f" else None)
        dtype = self.mean.dtype
        self.scale = jnp.asarray(scale, dtype)
        self.degrees_of_freedom = jnp.asarray(nu, dtype)
        self.mean_precision = jnp.asarray(
            check_real("mean_precision", mean_precision, 0, open_low=True), dtype
        )
        concentration = 1.0 / n_components if concentration is None else concentration
        self.concentration = jnp.asarray(check_real("concentration", concentration, 0, open_low=True), dtype)

    @property
    def n_features(self) -> int:
        """Dimension of a data point."""
        return self.mean.shape[0]


def default_prior(
    data: Any,
    n_components: int,
    *,
    weights: str = "stick-breaking",
    covariance: str = "full",
    concentration: float | None = None,
    mean_precision: float = 1.0,
    degrees_of_freedom: float | None = None,
    mean: Any = None,
    scale: Any = None,
    regularisation: float = 0.0,
) -> MixturePrior:
    """A prior whose mean and scale, where not given, are the mean and covariance of the data.

    Entries that are NaN are left out of both; with them the scale of a matrix is the diagonal of variances.

    Args:
        data: shape (n_points, n_features), n_points >= 2; floats decide the precision of everything.
        n_components: see `MixturePrior`.
        weights: see `MixturePrior`.
        covariance: see `MixturePrior`.
        concentration: see `MixturePrior`.
        mean_precision: see `MixturePrior`.
        degrees_of_freedom: see `MixturePrior`.
        mean: see `MixturePrior`; None: mean of the data.
        scale: see `MixturePrior`; None: the data's covariance, its diagonal, or the mean of that.
        regularisation: >= 0, added to the diagonal of a scale taken from the data.

    Raises:
        ValueError: an argument outside its range, or data without spread and no regularisation.
    """
    data = np.asarray(data)
    require(data.ndim == 2 and len(data) >= 2, "data", "have shape (n_points >= 2, n_features)", data.shape)
    check_choice("covariance", covariance, COVARIANCES)
    check_real("regularisation", regularisation, 0)
    dtype = data.dtype if data.dtype.kind == "f" else np.dtype(float)
    missing = np.isnan(data)
    require(
        not missing.all(axis=0).any(), "data", "have an entry in every column", missing.all(axis=0).tolist()
    )
    if mean is None:
        mean = np.nanmean(data, axis=0, dtype=float)
    if scale is None:
        variance = np.nanvar(data, axis=0, ddof=0, dtype=float)
        n_seen = np.maximum((~missing).sum(axis=0), 2)
        variance = variance * n_seen / (n_seen - 1) + regularisation
        if covariance in ("full", "tied"):
            scale = np.diag(variance)
            if not missing.any():
                scale = np.atleast_2d(np.cov(data.T, dtype=float)) + regularisation * np.eye(data.shape[1])
        else:
            scale = variance if covariance == "diagonal" else variance.mean()
    return MixturePrior(
        n_components,
        np.asarray(mean, dtype),
        np.asarray(scale, dtype),
        degrees_of_freedom=degrees_of_freedom,
        mean_precision=mean_precision,
        concentration=concentration,
        weights=weights,
        covariance=covariance,
    )

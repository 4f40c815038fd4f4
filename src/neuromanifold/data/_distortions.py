"""Random distortions of pictures: small affine maps and elastic fields.

    y(p) = x(A p + s + u(p))        A = rotation, scaling, shear about the centre; s a shift; bilinear
    interpolation u    = alpha * gaussian_sigma * noise,   noise uniform in [-1, 1] at each pixel, for rows
    and columns apart

(Simard, Steinkraus and Platt 2003, ICDAR: alpha = 34, sigma = 4 pixels for 29 x 29 pictures; the Gaussian
has unit sum, so that the field has standard deviation alpha / (2 sqrt(3 pi) sigma), 1.4 pixels.)
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_real


class Distortion(eqx.Module):
    """Random affine and elastic distortion, `distortion(key, pictures)`; each picture has its own.

    Args:
        rotation: largest angle in degrees, in [0, 180].
        scaling: largest relative change of size, in [0, 1).
        shear: largest tangent of the slant, >= 0.
        shift: largest shift in pixels along each axis, >= 0.
        alpha: strength of the elastic field in pixels, >= 0; 0 leaves it out.
        sigma: smoothing of the elastic field in pixels, > 0.
        background: grey level outside of the picture.

    Raises:
        ValueError: an argument outside its range.
    """

    rotation: float = eqx.field(static=True)
    scaling: float = eqx.field(static=True)
    shear: float = eqx.field(static=True)
    shift: float = eqx.field(static=True)
    alpha: float = eqx.field(static=True)
    sigma: float = eqx.field(static=True)
    background: float = eqx.field(static=True)

    def __init__(
        self,
        rotation: float = 0.0,
        scaling: float = 0.0,
        shear: float = 0.0,
        shift: float = 0.0,
        alpha: float = 0.0,
        sigma: float = 4.0,
        background: float = 0.0,
    ) -> None:
        self.rotation = check_real("rotation", rotation, 0, 180)
        self.scaling = check_real("scaling", scaling, 0, 1, open_high=True)
        self.shear = check_real("shear", shear, 0)
        self.shift = check_real("shift", shift, 0)
        self.alpha = check_real("alpha", alpha, 0)
        self.sigma = check_real("sigma", sigma, 0, open_low=True)
        self.background = check_real("background", background)

    def field(self, key: Key[Array, ""], n: int, height: int, width: int) -> Float[Array, "n 2 height width"]:
        """Where each pixel of n distorted pictures looks, in rows and columns of the originals."""
        affine_key, elastic_key = jax.random.split(key)
        draw = jax.random.uniform(affine_key, (6, n), minval=-1.0, maxval=1.0)
        angle = math.radians(self.rotation) * draw[0]
        rows, columns = 1 + self.scaling * draw[1], 1 + self.scaling * draw[2]
        slant = self.shear * draw[3]
        c, s = jnp.cos(angle), jnp.sin(angle)
        upper = jnp.stack([c * rows, -s * columns])
        lower = jnp.stack([s * rows + c * rows * slant, (c - s * slant) * columns])
        matrix = jnp.stack([upper, lower])
        middle = jnp.asarray([(height - 1) / 2, (width - 1) / 2])
        y, x = jnp.meshgrid(jnp.arange(height) - middle[0], jnp.arange(width) - middle[1], indexing="ij")
        moved = jnp.einsum("abn,bhw->nahw", matrix, jnp.stack([y, x]))
        moved = moved + (middle[None] + self.shift * draw[4:].T)[:, :, None, None]
        if self.alpha > 0:
            noise = jax.random.uniform(elastic_key, (n, 2, height, width), minval=-1.0, maxval=1.0)
            smooth = self.alpha * jnp.einsum(
                "nahw,hi,wj->naij", noise, _gaussian(height, self.sigma), _gaussian(width, self.sigma)
            )
            moved = moved + smooth
        return moved

    def __call__(
        self, key: Key[Array, ""], pictures: Float[Array, "n height width"]
    ) -> Float[Array, "n height width"]:
        """Distorted pictures of the same size."""
        n, height, width = pictures.shape
        places = self.field(key, n, height, width)
        return jax.vmap(_bilinear, (0, 0, None))(pictures, places, self.background)


def _gaussian(length: int, sigma: float) -> Float[Array, "length length"]:
    """The matrix of a Gaussian filter of unit sum on the infinite line, cut at the borders."""
    distance = np.arange(length)[:, None] - np.arange(length)[None]
    reach = np.arange(-math.ceil(8 * sigma), math.ceil(8 * sigma) + 1)
    total = np.exp(-(reach**2) / (2 * sigma**2)).sum()
    return jnp.asarray(np.exp(-(distance**2) / (2 * sigma**2)) / total, jnp.float32)


def _bilinear(
    picture: Float[Array, "height width"], places: Float[Array, "2 height width"], background: float
) -> Float[Array, "height width"]:
    return jax.scipy.ndimage.map_coordinates(
        picture, [places[0], places[1]], 1, mode="constant", cval=background
    )

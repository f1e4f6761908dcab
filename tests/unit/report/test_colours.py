"""The colours of figures stay apart for colour-blind eyes, and on paper without colour."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from gnn_distill.report.style import BLACK, BLUE, GREEN, GREY, ORANGE, PINK

# of linear RGB, without one kind of cone: Machado, Oliveira and Fernandes 2009, IEEE Trans. Vis. 15, 1291
EYES = {
    "all cones": np.eye(3).ravel(),
    "protanopia": [
        0.1523,
        1.0526,
        -0.2049,
        0.1145,
        0.7863,
        0.0992,
        -0.0039,
        -0.0481,
        1.0520,
    ],
    "deuteranopia": [
        0.3673,
        0.8606,
        -0.2280,
        0.2801,
        0.6725,
        0.0474,
        -0.0118,
        0.0429,
        0.9689,
    ],
    "tritanopia": [1.2555, -0.0767, -0.1788, -0.0784, 0.9308, 0.1476, 0.0047, 0.6914, 0.3039],
}
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
WHITE = [0.9505, 1.0, 1.089]


def lab(colours, eyes="all cones") -> np.ndarray:
    """CIE L*a*b* of sRGB colours [N, 3] as these eyes see them."""
    rgb = np.asarray(colours, dtype=float)
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    seen = np.clip(linear @ np.reshape(EYES[eyes], (3, 3)).T, 0, 1)
    t = seen @ np.transpose(TO_XYZ) / WHITE
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("eyes", EYES)
def test_lines_of_one_figure_stay_apart(eyes: str):
    """Differences in CIE L*a*b*: two or three can just be seen side by side."""
    seen = lab([to_rgb(c) for c in (BLUE, ORANGE, GREEN, PINK, GREY, BLACK, "white")], eyes)
    apart = [np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)]
    assert min(apart) > 15

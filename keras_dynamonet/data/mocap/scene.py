"""Everything drawn at random about a clip, and what each split may draw from."""

import colorsys
import dataclasses

import numpy as np

from keras_dynamonet.data.mocap.backdrops import BackdropCrop, draw_backdrop
from keras_dynamonet.data.mocap.kinematics import Body

Colour = tuple[float, float, float]

FLOOR_PATTERNS = ("mottled", "tiles", "planks")


@dataclasses.dataclass(frozen=True)
class Split:
    """What the clips of one split are drawn from; no two splits overlap.

    Args:
        bearings_degrees: Sectors the camera stands in, on either side of the person: 0
            looks at a walker from ahead, 90 from the side, 180 from behind. A mirrored
            picture stays in its sector, so flipping leaks no held-out view.
        hues_degrees: Hues of shirts and trousers.
        girths: Ranges of the thickness of the body.
        shots: Shots the backdrops come from.
    """

    bearings_degrees: tuple[tuple[float, float], ...]
    hues_degrees: tuple[tuple[float, float], ...]
    girths: tuple[tuple[float, float], ...]
    shots: tuple[str, ...]


SPLITS = {
    "train": Split(
        bearings_degrees=((0, 25), (60, 135), (155, 180)),
        hues_degrees=((0, 70), (150, 255)),
        girths=((0.85, 1.0), (1.1, 1.2)),
        shots=("bus", "taxi", "meadow", "car_inside"),
    ),
    "validation": Split(
        bearings_degrees=((135, 155),),
        hues_degrees=((255, 285),),
        girths=((1.0, 1.04),),
        shots=("cyclist",),
    ),
    "test": Split(
        bearings_degrees=((25, 60),),
        hues_degrees=((70, 150), (285, 360)),
        girths=((1.04, 1.1), (1.2, 1.35)),
        shots=("crossing", "parked_bicycle"),
    ),
}


@dataclasses.dataclass(frozen=True)
class Scene:
    """One draw of person, light, floor and wall. Colours are RGB in [0, 1].

    Args:
        body: Build of the person.
        colours: Garment to colour.
        striped: Whether the shirt has stripes.
        backdrop: Picture on the wall; `None` paints it in two colours.
        backdrop_blur: Standard deviation, as a share of the picture's side, of the
            blur of a wall out of focus.
        backdrop_contrast: Factor on the picture's differences from its mean.
        wall_colours: The two colours of a painted wall.
        wall_gap_metres: From the farthest point of the person to the wall.
        has_floor: False lets the wall fill the whole picture, as if the person stood
            before a photograph.
        floor_pattern: One of `FLOOR_PATTERNS`.
        floor_colours: The two colours of the floor.
        floor_scale_metres: Size of a tile or a plank.
        light: Unit vector towards the light.
        shadow: Share of the light that a shadow takes away.
        exposure: Factor on all colours.
        noise: Standard deviation of the sensor noise.
        mirrored: Whether the finished picture is mirrored left to right.
    """

    body: Body
    colours: dict[str, Colour]
    striped: bool
    backdrop: BackdropCrop | None
    backdrop_blur: float
    backdrop_contrast: float
    wall_colours: tuple[Colour, Colour]
    wall_gap_metres: float
    has_floor: bool
    floor_pattern: str
    floor_colours: tuple[Colour, Colour]
    floor_scale_metres: float
    light: tuple[float, float, float]
    shadow: float
    exposure: float
    noise: float
    mirrored: bool


def draw_scene(rng: np.random.Generator, split: Split) -> Scene:
    """Draws a scene from what a split allows.

    Args:
        rng: Source of randomness; the scene is a pure function of its state.
        split: A value of `SPLITS`.
    """
    shirt = _draw_colour(rng, _draw_from(rng, split.hues_degrees))
    trousers = _draw_colour(rng, _draw_from(rng, split.hues_degrees))
    skin = np.array([0.95, 0.76, 0.62]) * rng.uniform(0.35, 1.0)
    hair = np.array([0.55, 0.4, 0.25]) * rng.uniform(0.1, 1.3)
    shoe = np.full(3, rng.uniform(0.05, 0.9))
    sleeves, legs = rng.random() < 0.5, rng.random() < 0.7
    light = np.array([rng.uniform(-1, 1), rng.uniform(0.8, 1.6), rng.uniform(-1, 1)])
    backdrop = draw_backdrop(rng, split.shots) if rng.random() < 0.85 else None
    return Scene(
        body=Body(
            width=float(rng.uniform(0.92, 1.12)),
            girth=_draw_from(rng, split.girths),
        ),
        colours={
            "shirt": shirt,
            "trousers": trousers,
            "skin": _rounded(skin),
            "hair": _rounded(hair),
            "shoe": _rounded(shoe),
            "forearm": shirt if sleeves else _rounded(skin),
            "shin": trousers if legs else _rounded(skin),
        },
        striped=bool(rng.random() < 0.3),
        backdrop=backdrop,
        backdrop_blur=float(rng.uniform(0.0, 0.015)),
        backdrop_contrast=float(rng.uniform(0.5, 0.9)),
        wall_colours=(_draw_tint(rng), _draw_tint(rng)),
        wall_gap_metres=float(rng.uniform(0.8, 4.0)),
        has_floor=bool(rng.random() < 0.65) or backdrop is None,
        floor_pattern=str(rng.choice(FLOOR_PATTERNS)),
        floor_colours=(_draw_tint(rng), _draw_tint(rng)),
        floor_scale_metres=float(rng.uniform(0.3, 0.9)),
        light=_rounded(light / np.linalg.norm(light)),
        shadow=float(rng.uniform(0.3, 0.6)),
        exposure=float(rng.uniform(0.88, 1.1)),
        noise=float(rng.uniform(0.0, 0.02)),
        mirrored=bool(rng.random() < 0.5),
    )


def _draw_from(
    rng: np.random.Generator, ranges: tuple[tuple[float, float], ...]
) -> float:
    """Uniform over the union of disjoint ranges."""
    widths = np.array([stop - start for start, stop in ranges])
    start, stop = ranges[rng.choice(len(ranges), p=widths / widths.sum())]
    return float(rng.uniform(start, stop))


def _draw_colour(rng: np.random.Generator, hue_degrees: float) -> Colour:
    """A colour whose hue can be seen: neither grey nor nearly black."""
    saturation, value = rng.uniform(0.45, 1.0), rng.uniform(0.3, 1.0)
    return _rounded(colorsys.hsv_to_rgb(hue_degrees / 360, saturation, value))


def _draw_tint(rng: np.random.Generator) -> Colour:
    """A muted colour, as of walls and floors."""
    saturation, value = rng.uniform(0.0, 0.3), rng.uniform(0.3, 0.95)
    return _rounded(colorsys.hsv_to_rgb(rng.random(), saturation, value))


def _rounded(values) -> tuple[float, float, float]:
    return tuple(round(float(value), 4) for value in values)

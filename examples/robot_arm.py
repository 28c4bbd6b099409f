"""Inverse kinematics: the joint angles that bring a robot's hand to a place, for 10,000 places at once.

An arm turns at its base and bends at three joints. Where its hand is follows from the four angles; the way back is
solved by Gauss-Newton steps. One step is written for one target, in scalars: `ag.jacobian` of the place of the hand,
and of the many angles that lead there those nearest to the present ones,

    change = -J^T (J J^T + damping I)^-1 miss,    at most half a radian long

Compiled with batch=True it is one program for all targets. Run it: python examples/robot_arm.py

Source: Wampler, Manipulator Inverse Kinematic Solutions Based on Vector Formulations and Damped Least-Squares Methods,
IEEE Transactions on Systems, Man, and Cybernetics 16, 1986. The targets are drawn at random within reach.
"""

from time import perf_counter

import numpy as np

import autograd_lite as ag

COUNT = 10_000
STEPS = 25
HEIGHT = 0.3  # of the shoulder above the floor, in metres
LINKS = [ag.Parameter(length, name="link") for length in (0.45, 0.4, 0.15)]
REST = np.array([0.0, 0.8, -1.0, -0.4])  # every search begins here
LONGEST = 0.5  # radians in a step
DAMPING = 0.01  # times the squared miss: near the target a step is a plain one of Gauss-Newton


def hand(angles):
    """The place (x, y, z) of the hand: the arm is a chain in a plane that the base turns."""
    base, *bends = angles
    along, up, direction = 0.0, HEIGHT, 0.0
    for link, bend in zip(LINKS, bends, strict=True):
        direction = direction + bend
        along, up = along + link * ag.cos(direction), up + link * ag.sin(direction)
    return [along * ag.cos(base), along * ag.sin(base), up]


def step(angles, target):
    """(distance to the target, angles that lead closer to it)."""
    angles = list(angles)
    miss = [a - b for a, b in zip(hand(angles), target, strict=True)]
    slopes = ag.jacobian(hand)(angles)
    damping = DAMPING * ag.dot(miss, miss) + 1e-12
    matrix = [[ag.dot(a, b) + damping * (i == j) for i, a in enumerate(slopes)] for j, b in enumerate(slopes)]
    weights = ag.linalg.solve(matrix, miss)
    changes = [-ag.dot(weights, column) for column in zip(*slopes, strict=True)]
    share = LONGEST / ag.max([LONGEST, ag.linalg.norm(changes)])
    return [ag.linalg.norm(miss), *(a + share * change for a, change in zip(angles, changes, strict=True))]


def targets(seed=0):
    """Places that the hand reaches, and does not only touch with the arm stretched out."""
    random = np.random.default_rng(seed)
    low, high = np.array([-3.0, -0.3, -2.4, -1.5]), np.array([3.0, 1.6, -0.3, 1.5])
    drawn = random.uniform(low, high, (COUNT, 4))
    program = ag.compile(lambda angles: hand(list(angles)), params=LINKS, batch=True)
    return np.stack(program.rows_and_grad(program.theta, drawn)[0], 1)


def solve(places):
    """(the angles for each place, the distances that are left after each step)."""
    program = ag.compile(step, params=LINKS, batch=True)
    angles, distances = np.tile(REST, (len(places), 1)), []
    for _ in range(STEPS):
        (distance, *found), _ = program.rows_and_grad(program.theta, angles, places)
        angles = np.stack(found, 1)
        distances.append(distance)
    return angles, np.array(distances)


def main():
    """Solve for all targets, and print how many hands are there after each few steps."""
    places = targets()
    start = perf_counter()
    angles, distances = solve(places)
    seconds = perf_counter() - start
    for k in range(0, STEPS, 4):
        there = np.mean(distances[k] < 1e-6)
        print(f"after {k:2} steps {there:7.2%} are there, the farthest hand is {distances[k].max():.1e} m away")
    print(f"{STEPS} steps for {COUNT:,} targets in {seconds:.2f} s, compiling included")
    return places, angles, distances


if __name__ == "__main__":
    main()

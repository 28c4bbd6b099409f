"""Maximum likelihood with censored data: how long leukaemia stays away, and standard errors from the Hessian.

Times to relapse follow a Weibull distribution, of which the treatment stretches the time axis:

    log T = m + t (drug) + s W,    P(W > w) = exp(-exp(w))

An observed time contributes its density to the likelihood, one that was cut off (the patient was still in remission)
the probability to last longer. `ag.minimize` finds the maximum by second derivatives; the inverse of the Hessian there,
the observed information, is the covariance of the estimates, which no table has for censored data.
Run it: python examples/remission_times.py

Source: Freireich et al., The effect of 6-mercaptopurine on the duration of steroid-induced remissions in acute
leukemia, Blood 21, 1963, in weeks; printed in Gehan, Biometrika 52, 1965. Facts, in the public domain.
"""

from math import exp, log

import numpy as np

import autograd_lite as ag

PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
DRUG = [6, 6, 6, 7, 10, 13, 16, 22, 23]  # relapses
STILL = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]  # on the drug, and in remission when the study ended


def log_likelihood(m, t, log_s):
    """The logarithm of the likelihood of all 42 patients."""
    s = ag.exp(log_s)

    def w(time, location):
        return (log(time) - location) / s

    seen = [w(time, m) for time in PLACEBO] + [w(time, m + t) for time in DRUG]
    density = ag.sum([x - ag.exp(x) - log_s - log(time) for x, time in zip(seen, PLACEBO + DRUG, strict=True)])
    return density - ag.sum([ag.exp(w(time, m + t)) for time in STILL])


def hazard_ratio(estimates):
    """By which factor the drug lowers the risk of a relapse at any moment: exp(-t / s)."""
    _, t, log_s = estimates
    return ag.exp(-t * ag.exp(-log_s))


def fit():
    """(estimates of m, t and log s; their covariance; what `minimize` found)."""
    p = [ag.Parameter(2.0, name="m"), ag.Parameter(0.0, name="t"), ag.Parameter(0.0, name="log s")]
    found = ag.minimize(lambda: -log_likelihood(*p), p, "trust")
    information = ag.hessian(lambda x: -log_likelihood(*x))(found.x)
    return found.x, np.linalg.inv(information), found


def main():
    """Print the estimates with standard errors, and the effect of the drug with an interval."""
    estimates, covariance, found = fit()
    print(f"log-likelihood {-found.loss:.2f} ({found.stopped}, {found.iterations} iterations, {found.backend})")
    errors = np.sqrt(np.diag(covariance))
    for name, number, error in zip(("m", "t", "log s"), estimates, errors, strict=True):
        print(f"  {name:6} {number:7.3f} +- {error:.3f}   z = {number / error:5.2f}")
    # of the logarithm, so that the interval stays above 0
    effect = ag.propagate(lambda x: ag.log(hazard_ratio(x)), estimates, covariance)
    ratio, error = exp(effect.value), effect.error
    low, high = ratio * exp(-1.96 * error), ratio * exp(1.96 * error)
    print(f"the drug multiplies the risk of a relapse by {ratio:.3f}, 95% interval {low:.3f} to {high:.3f}")
    return estimates, covariance, found


if __name__ == "__main__":
    main()

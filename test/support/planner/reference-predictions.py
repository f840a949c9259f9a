"""Predictions of statsmodels, pmdarima and prophet, that the planner's own predictors are held to.

pip install statsmodels==0.15.0 pmdarima==2.1.1 prophet==1.5.0
python reference-predictions.py kalman > kalman.json      (or arima, or prophet)

Each table is a list of {series, values, next}: `next` is what the library predicts after `values`,
several steps ahead.
"""

import json
import logging
import math
import sys
import warnings

import numpy as np

STEPS = 5
warnings.filterwarnings("ignore")


def series():
    """Loads of intervals: what a planner meets, in a few hundred numbers."""
    noise = np.random.default_rng(17)
    wobble = lambda count, size: noise.normal(0, size, count)
    at = lambda count: np.arange(count)
    made = {
        "trend": 40 + 1.5 * at(60) + wobble(60, 3),
        "falling": 300 - 4 * at(50) + wobble(50, 6),
        "seasonal": 120 + 60 * np.sin(2 * math.pi * at(96) / 24) + wobble(96, 4),
        "noisy": 100 + wobble(100, 15),
        "level shift": np.where(at(80) < 45, 30.0, 90.0) + wobble(80, 3),
        "sparse": np.where(at(70) % 9 == 0, 12.0, 0.0),
        "random walk": 200 + np.cumsum(wobble(80, 5)),
        "correlated": 80 + correlated(wobble(120, 6), 0.7),
        "short": np.array([12.0, 15.0, 13.0, 18.0, 21.0, 20.0, 24.0]),
        "equal": np.full(12, 42.0),
        "burst": np.where((at(60) >= 30) & (at(60) < 36), 400.0, 40.0) + wobble(60, 2),
    }
    return {name: [round(max(0.0, float(v)), 3) for v in values] for name, values in made.items()}


def correlated(steps, share):
    values = [0.0]
    for step in steps:
        values.append(share * values[-1] + step)
    return np.array(values[1:])


def kalman(values):
    from statsmodels.tsa.statespace.kalman_filter import KalmanFilter

    move = np.array([[1.0, 1.0], [0.0, 1.0]])
    noise = np.diag([1.0, 0.1])
    kalman_filter = KalmanFilter(k_endog=1, k_states=2)
    kalman_filter["transition"] = move
    kalman_filter["design"] = np.array([[1.0, 0.0]])
    kalman_filter["selection"] = np.eye(2)
    kalman_filter["state_cov"] = noise
    kalman_filter["obs_cov"] = np.array([[10.0]])
    # The first value is where the filter starts; statsmodels is told the state before the second.
    start = np.array([values[0], 0.0])
    kalman_filter.initialize_known(move @ start, move @ (1000 * np.eye(2)) @ move.T + noise)
    kalman_filter.bind(np.array(values[1:]))
    level, trend = kalman_filter.filter().filtered_state[:, -1]
    return [float(max(0.0, level + step * trend)) for step in range(1, STEPS + 1)]


def arima(values):
    import pmdarima

    if len(set(values)) == 1:
        return [values[0]] * STEPS, None
    model = pmdarima.auto_arima(values, suppress_warnings=True, error_action="ignore")
    order, log = model.order, False
    if order[0] == 0 and order[2] == 0:
        model = pmdarima.auto_arima(
            np.log1p(values), suppress_warnings=True, error_action="ignore"
        )
        order, log = model.order, True
    ahead = [float(v) for v in model.predict(n_periods=STEPS)]
    return [max(0.0, math.expm1(v) if log else v) for v in ahead], {
        "order": [int(v) for v in order],
        "log1p": log,
        "intercept": bool(model.with_intercept),
        "aic": float(model.aic()),
    }


def prophet(values, interval_s):
    import pandas
    from prophet import Prophet

    for name in ("prophet", "cmdstanpy"):
        logging.getLogger(name).setLevel(logging.ERROR)
    start = pandas.Timestamp("2024-01-01")
    moment = lambda at: start + pandas.Timedelta(seconds=at * interval_s)
    known = pandas.DataFrame({"ds": [moment(at) for at in range(len(values))], "y": values})
    model = Prophet(uncertainty_samples=0)
    model.fit(known)
    later = pandas.DataFrame({"ds": [moment(len(values) + at) for at in range(STEPS)]})
    return [float(max(0.0, v)) for v in model.predict(later)["yhat"]]


def daily(days, per_day, weekend=1.0):
    """Days of one load, `weekend` times as high on the sixth and seventh."""
    noise = np.random.default_rng(18)
    at = np.arange(days * per_day)
    day = 1 + 0.6 * np.sin(2 * math.pi * at / per_day) + 0.2 * np.cos(4 * math.pi * at / per_day)
    level = np.where((at // per_day) % 7 >= 5, weekend, 1.0)
    return [round(float(v), 3) for v in 500 * day * level + noise.normal(0, 15, len(at))]


def prophet_rows():
    for name, values in series().items():
        window = values[-50:]
        # The planner skips zeros before the first load.
        window = window[next(at for at, value in enumerate(window) if value > 0) :]
        yield {"series": name, "interval_s": 180, "values": window}
    yield {"series": "days", "interval_s": 1800, "values": daily(4, 48)}
    yield {"series": "weeks", "interval_s": 3600, "values": daily(21, 24, 0.5)}


def rows(table):
    if table == "kalman":
        for name, values in series().items():
            yield {"series": name, "values": values, "next": kalman(values)}
    elif table == "arima":
        for name, values in series().items():
            ahead, model = arima(values)
            yield {"series": name, "values": values, "next": ahead, "model": model}
    elif table == "prophet":
        for row in prophet_rows():
            yield {**row, "next": prophet(row["values"], row["interval_s"])}
    else:
        sys.exit("name a table: kalman, arima or prophet")


print("[\n" + ",\n".join(json.dumps(row) for row in rows(sys.argv[1])) + "\n]")

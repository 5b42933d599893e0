"""The rows that the models of xgboost_models.py and lightgbm_models.py are trained on and asked about."""
import numpy as np
import pandas as pd

CITIES = ["Aachen", "Bern", "Cork", "Delft", "Essen", "Faro", "Gent"]


def rows(count=400, seed=11):
    """A data frame: numbers (one with missing values, one of huge scale, one of codes), a boolean, a category; and its targets."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": np.round(rng.normal(40, 12, count), 1),
            "income": np.where(rng.random(count) < 0.2, np.nan, np.round(rng.lognormal(8, 1, count))),
            "sales": np.round(rng.normal(0, 3e8, count)),
            "level": rng.integers(0, 6, count).astype(float),
            "member": rng.random(count) < 0.4,
            "city": np.where(rng.random(count) < 0.1, None, rng.choice(CITIES, count)),
        }
    )
    frame["city"] = pd.Categorical(frame["city"], categories=CITIES)
    lift = np.array([0.0, 2.0, -2.0, 1.0, -1.0, 3.0, -3.0, 0.5])
    score = (
        (frame["age"] - 40) / 12
        + frame["income"].fillna(1000) / 5000
        + (frame["sales"] > 1e8) * 1.5
        + lift[frame["level"].astype(int)] / 2
        + frame["member"] * 0.7
        + lift[frame["city"].cat.codes]
        + rng.normal(0, 0.5, count)
    )
    targets = {
        "bought": (score > 0.8).astype(int),
        "kind": np.digitize(score, [-0.5, 2]),
        "spent": 150_000 + 20_000 * score,
        "visits": rng.poisson(np.exp(np.clip(score, -3, 3) / 2)),
        "cost": rng.gamma(2, np.exp(np.clip(score, -3, 3) / 2)) + 0.01,
    }
    return frame, {name: np.asarray(values, dtype=float) for name, values in targets.items()}


def told(frame):
    """The rows as JSON: columns in order, missing values as null."""
    cells = frame.astype({"city": object})
    return {name: [None if pd.isna(cell) else cell for cell in cells[name].tolist()] for name in cells}

"""The references of bench/auto.ts: reads one request per line (JSON), answers one line of figures on the test rows.

Each library at its defaults, trained on the training and validation rows. Numbers are scaled and missing ones imputed where a model
needs it; categories are one-hot (HistGradientBoosting: its own categories), rare ones gathered.
"""
import json
import sys

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, OrdinalEncoder, StandardScaler
from xgboost import XGBClassifier, XGBRegressor

MOST_CATEGORIES = 254


def columns_of(frame):
    text = [c for c in frame.columns if frame[c].dtype == object]
    # An identifier teaches nothing.
    useful = [c for c in text if frame[c].nunique() <= max(20, len(frame) / 2)]
    return [c for c in frame.columns if c not in text], useful


def encoded(frame, model, impute, scale):
    numbers, text = columns_of(frame)
    steps = ([SimpleImputer()] if impute else []) + ([StandardScaler()] if scale else [])
    onehot = OneHotEncoder(handle_unknown="ignore", min_frequency=5)
    number = make_pipeline(*steps) if steps else "passthrough"
    return make_pipeline(ColumnTransformer([("n", number, numbers), ("t", onehot, text)]), model)


def native(frame, model, seed):
    numbers, text = columns_of(frame)
    few = [c for c in text if frame[c].nunique() <= MOST_CATEGORIES]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    mask = [False] * len(numbers) + [True] * len(few)
    made = model(categorical_features=mask, random_state=seed)
    return make_pipeline(ColumnTransformer([("n", "passthrough", numbers), ("t", codes, few)]), made)


def models(x, is_class, seed):
    linear = LogisticRegression(max_iter=2000) if is_class else Ridge()
    forest = (RandomForestClassifier if is_class else RandomForestRegressor)(random_state=seed, n_jobs=2)
    boosting = HistGradientBoostingClassifier if is_class else HistGradientBoostingRegressor
    xgboost = (XGBClassifier if is_class else XGBRegressor)(random_state=seed, n_jobs=2)
    return {
        "LINEAR": encoded(x, linear, True, True),
        "RANDOM_FOREST": encoded(x, forest, True, False),
        "HIST_BOOSTING": native(x, boosting, seed),
        "XGBOOST": encoded(x, xgboost, False, False),
    }


def figures(y, p, is_class, classes):
    if not is_class:
        return {"RMSE": float(np.sqrt(mean_squared_error(y, p))), "R2": float(r2_score(y, p))}
    result = {"ACCURACY": float(accuracy_score(y, classes[np.argmax(p, axis=1)])), "LOG_LOSS": float(log_loss(y, p, labels=classes))}
    if len(classes) == 2:
        result["AUC"] = float(roc_auc_score(y == classes[1], p[:, 1]))
    return result


def answer(request):
    table = pd.read_csv(request["path"])
    part = np.array(request["assignment"])
    table = table.iloc[request["rows"]].reset_index(drop=True).drop(columns=request["without"])
    known = table[request["target"]].notna().to_numpy()
    table, part = table[known], part[known]
    for column in table.columns:
        if table[column].dtype == bool:
            table[column] = table[column].astype(str)
    is_class = request["task"] != "REGRESSION"
    y = table.pop(request["target"]).to_numpy()
    if is_class:
        y = LabelEncoder().fit_transform(y.astype(str))
    x, tx = table[part < 2], table[part == 2]
    y, ty = y[part < 2], y[part == 2]
    result = {}
    for name, model in models(x, is_class, request["seed"]).items():
        model.fit(x, y)
        p = model.predict_proba(tx) if is_class else model.predict(tx)
        result[name] = figures(ty, p, is_class, model.classes_ if is_class else None)
    return result


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)

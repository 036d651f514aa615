"""What a build plans for a target, and what it recommends of what it made."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.figures import figures, not_run

from edgekit.errors import UsageError
from edgekit.manifest import Variant
from edgekit.pipeline.variants.plan import plan_variants
from edgekit.pipeline.variants.recommend import recommend
from edgekit.recipes import RECIPES
from edgekit.source_kinds import SOURCE_KINDS
from edgekit.target import load_target, target_directory

RPI4 = load_target("rpi4")


def names(plans: Any) -> set[str]:
    return {plan.name for plan in plans}


def test_the_target_decides_what_is_built() -> None:
    plans, skipped = plan_variants(RPI4, SOURCE_KINDS["torch"])
    assert {"fp32.tflite", "int8.tflite", "fp32.pte", "int8.pte"} <= names(plans)
    assert not {plan.recipe.name for plan in plans} & {"int8-dynamic"}
    assert not {plan.format.name for plan in plans} & {"ptl"}
    assert not skipped
    assert not [plan for plan in plans if RPI4.why_not(plan.format.name, plan.recipe.name)]


def test_what_is_asked_for_is_built_in_place_of_the_choice() -> None:
    plans, skipped = plan_variants(RPI4, SOURCE_KINDS["torch"], ["int8-dynamic", "int8"], ["tflite", "ptl"])
    assert names(plans) == {"int8-dynamic.tflite", "int8.tflite", "int8.ptl"}
    assert [item.reason for item in skipped] == ["a .ptl for QNNPACK has the recipes fp32 and int8, not int8-dynamic"]


def test_without_calibration_samples_int8_is_left_out_and_refused_when_asked_for() -> None:
    plans, skipped = plan_variants(RPI4, SOURCE_KINDS["torch"], calibrated=False)
    assert "int8.tflite" not in names(plans) and "int8.tflite" in {item.name for item in skipped}
    with pytest.raises(UsageError, match="needs calibration samples"):
        plan_variants(RPI4, SOURCE_KINDS["torch"], ["int8"], calibrated=False)


def test_baselines_are_built_on_request_in_float_alone() -> None:
    desktop = load_target("desktop-x86_64")
    assert not {plan.format.name for plan in plan_variants(desktop, SOURCE_KINDS["torch"])[0]} & {"onnx", "pt2"}
    plans, skipped = plan_variants(desktop, SOURCE_KINDS["torch"], formats=["pt2"])
    assert names(plans) == {"fp32.pt2", "fp32-batch32.pt2"} and skipped == ()
    assert {plan.name: plan.batch for plan in plans}["fp32-batch32.pt2"] == 32
    plans, skipped = plan_variants(desktop, SOURCE_KINDS["torch"], ["fp32", "int8"], ["pt2", "tflite"])
    assert names(plans) == {"fp32.pt2", "fp32-batch32.pt2", "fp32.tflite", "int8.tflite"}
    assert [item.name for item in skipped] == ["int8.pt2"] and "no recipe but fp32" in skipped[0].reason


def test_only_a_keras_model_gives_keras() -> None:
    desktop = load_target("desktop-x86_64")
    assert names(plan_variants(desktop, SOURCE_KINDS["keras"], formats=["keras"])[0]) == {
        "fp32.keras",
        "fp32-batch32.keras",
    }
    with pytest.raises(UsageError, match=r"a PyTorch model gives no \.keras") as caught:
        plan_variants(desktop, SOURCE_KINDS["torch"], formats=["keras"])
    assert caught.value.code == "EK-UNSUPPORTED"
    with pytest.raises(UsageError, match=r"a SavedModel gives no \.keras, only \.tflite, \.pte, ") as caught:
        plan_variants(desktop, SOURCE_KINDS["saved-model"], formats=["keras"])
    assert "save the Keras model as .keras" in caught.value.message


@pytest.mark.parametrize("kind", ["saved-model", "tensorflow", "tf-graph", "tf-checkpoint", "tflite"])
def test_what_tensorflow_opens_becomes_pte_by_way_of_onnx(kind: str) -> None:
    plans, skipped = plan_variants(RPI4, SOURCE_KINDS[kind])
    assert {plan.format.name for plan in plans} == {"tflite", "pte"} and not skipped
    for plan in plans:
        assert [bridge.kind for bridge in plan.bridges] == (["onnx"] if plan.format.name == "pte" else [])
        assert all(bridge.family == "tensorflow" for bridge in plan.bridges)


def test_without_tensorflow_a_tflite_goes_in_and_pte_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("edgekit.source_kinds.find_spec", lambda name: None if name == "tensorflow" else found(name))
    plans, skipped = plan_variants(RPI4, SOURCE_KINDS["tflite"])
    assert {plan.format.name for plan in plans} == {"tflite"}
    reason = ".pte of a LiteRT model needs tensorflow, which is not installed: pip install 'edgekit[build,tensorflow]'"
    assert {item.reason for item in skipped} == {reason}
    asked, _ = plan_variants(RPI4, SOURCE_KINDS["tflite"], formats=["pte"])
    with pytest.raises(UsageError, match="needs tensorflow") as caught:
        asked[0].bridges[0].check_installed(".pte")
    assert caught.value.code == "EK-MISSING-PACKAGE"


def test_a_source_that_has_the_hub_crosses_nothing() -> None:
    for kind in ("torch", "onnx", "keras"):
        plans, _ = plan_variants(RPI4, SOURCE_KINDS[kind])
        assert not any(plan.bridges for plan in plans)


def test_a_file_in_int8_goes_in_as_it_is_without_calibration() -> None:
    plans, skipped = plan_variants(RPI4, SOURCE_KINDS["tflite"], calibrated=False, held=RECIPES["int8"])
    assert {"int8.tflite", "fp32.pte"} <= names(plans) and "fp32.tflite" not in names(plans)
    reasons = {item.name: item.reason for item in skipped}
    assert "in int8 already" in reasons["fp32.tflite"] and "needs calibration samples" in reasons["int8.pte"]
    plans, _ = plan_variants(RPI4, SOURCE_KINDS["tflite"], ["int8"], ["tflite"], calibrated=False, held=RECIPES["int8"])
    assert names(plans) == {"int8.tflite"}


def test_a_file_in_half_precision_gives_every_recipe() -> None:
    plans, skipped = plan_variants(RPI4, SOURCE_KINDS["tflite"], held=RECIPES["fp16"])
    assert {"fp32.tflite", "fp16.tflite", "int8.tflite"} <= names(plans) and not skipped


@pytest.mark.parametrize(("recipes", "formats", "meant"), [(["int9"], [], "int8"), ([], ["tflit"], "tflite")])
def test_unknown_words_are_refused(recipes: list[str], formats: list[str], meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan_variants(RPI4, SOURCE_KINDS["torch"], recipes, formats)
    assert caught.value.hint == f"did you mean {meant!r}?"


def test_files_for_apps_are_planned_though_nothing_here_runs_them() -> None:
    ios, _ = plan_variants(load_target("ios"), SOURCE_KINDS["torch"])
    assert {plan.name: plan.backend for plan in ios if plan.format.name == "pte"} == {
        "fp16.pte": "coreml",
        "fp32.pte": "xnnpack",
        "int8.pte": "xnnpack",
    }
    assert [plan.name for plan in ios if not plan.runs_here] == ["fp16.pte"]
    gpu, _ = plan_variants(load_target("android-gpu"), SOURCE_KINDS["torch"])
    assert {plan.backend: plan.runs_here for plan in gpu} == {"gpu": True, "vulkan": False}


def test_a_recipe_that_a_backend_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a \.pte for Vulkan has the recipes fp32 and fp16, not int8"):
        plan_variants(load_target("android-gpu"), SOURCE_KINDS["torch"], ["int8"], ["pte"])


def test_a_backend_that_a_format_has_no_files_for_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text((target_directory() / "ios.toml").read_text().replace('format = "pte"', 'format = "tflite"'))
    with pytest.raises(UsageError, match=r"exports no \.tflite for Core ML"):
        plan_variants(load_target(path), SOURCE_KINDS["torch"], ["fp16"])


def variant(name: str, drop: float | None = 0.0, agreement: float = 100.0, **changes: Any) -> Variant:
    recipe, format = name.split(".")
    sizes = {"fp32": 4000, "fp16": 2000, "int8": 1000, "int8-dynamic": 1000}
    facts: dict[str, Any] = {
        "name": name,
        "file": f"variants/{name}",
        "size_bytes": sizes[recipe],
        "sha256": "0" * 64,
        "format": format,
        "recipe": recipe,
        "engines": ("litert",),
        "minimum_runtime": {},
        "producers": {},
        **figures(30.0, recipe=recipe, agreement=agreement, max_abs_diff=0.1),
        "delegated_share": 100.0,
        "undelegated_ops": {},
        "accuracy": None if drop is None else 98.0 - drop,
        "accuracy_drop": drop,
    }
    return Variant(**{**facts, **changes})


def exported(name: str, backend: str) -> Variant:
    """A file that was not run."""
    return replace(variant(name), backend=backend, **not_run())


def test_int8_is_recommended_while_it_keeps_the_accuracy() -> None:
    made = [variant("fp32.tflite"), variant("int8.tflite", 0.2), variant("int8.pte", 0.1)]
    chosen = recommend(made, RPI4, None)
    assert chosen["variant"] == "int8.tflite"
    assert "4.0x smaller than fp32.tflite" in chosen["reason"] and "0.20 points below" in chosen["reason"]


def test_a_variant_that_loses_too_much_is_not_recommended() -> None:
    made = [variant("fp32.tflite"), variant("int8.tflite", 3.0)]
    assert recommend(made, RPI4, None)["variant"] == "fp32.tflite"
    assert recommend(made, RPI4, 5.0)["variant"] == "int8.tflite"


def test_without_labels_agreement_decides() -> None:
    made = [variant("fp32.tflite", None), variant("int8.tflite", None, agreement=80.0)]
    assert recommend(made, RPI4, None)["variant"] == "fp32.tflite"


def test_a_fully_delegated_file_goes_first() -> None:
    made = [variant("int8.tflite", undelegated_ops={"PAD": 3}, delegated_share=80.0), variant("int8.pte")]
    assert recommend(made, RPI4, None)["variant"] == "int8.pte"


def test_what_is_next_to_no_work_outside_of_the_delegate_changes_nothing() -> None:
    made = [variant("int8.tflite", undelegated_ops={"CAST": 18}, delegated_share=99.99), variant("int8.pte")]
    chosen = recommend(made, RPI4, None)
    assert chosen["variant"] == "int8.tflite" and "outside" not in chosen["reason"]


def test_a_baseline_is_recommended_last() -> None:
    made = [variant("fp32.onnx", delegated_share=None), variant("int8.tflite", 0.5)]
    assert recommend(made, load_target("desktop-x86_64"), None)["variant"] == "int8.tflite"
    assert recommend(made[:1], load_target("desktop-x86_64"), None)["variant"] == "fp32.onnx"


def test_a_file_for_throughput_is_not_recommended() -> None:
    made = [replace(variant("fp32.tflite"), name="fp32-batch32.tflite", batch=32), variant("fp32.tflite")]
    assert recommend(made, RPI4, None)["variant"] == "fp32.tflite"


def test_a_recipe_that_is_slower_on_the_target_is_recommended_last() -> None:
    made = [variant("int8-dynamic.tflite"), variant("fp32.tflite")]
    assert recommend(made, RPI4, None)["variant"] == "fp32.tflite"


def test_what_was_run_is_recommended_before_what_was_only_exported() -> None:
    gpu = load_target("android-gpu")
    made = [exported("fp16.pte", "vulkan"), variant("fp32.tflite", 5.0)]
    assert recommend(made, gpu, None)["variant"] == "fp32.tflite"
    alone = recommend([exported("fp32.pte", "vulkan"), exported("fp16.pte", "vulkan")], gpu, None)
    assert alone["variant"] == "fp16.pte" and alone["reason"].startswith("exported, not run here")


def test_where_nothing_runs_on_the_target_the_reason_says_so() -> None:
    browser = load_target("browser")
    chosen = recommend([variant("fp32.pte")], browser, None)
    assert chosen["reason"].startswith("nothing that was built runs on web browser")
    chosen = recommend([variant("fp32.pte"), variant("fp32.tflite")], browser, None)
    assert chosen["variant"] == "fp32.tflite" and "nothing" not in chosen["reason"]

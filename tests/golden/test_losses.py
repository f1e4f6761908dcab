import json

import pytest

from tests.golden.regenerate import LOSSES, VARIANTS, short_run


@pytest.mark.parametrize("variant", VARIANTS)
def test_short_run_reaches_the_recorded_losses(variant: str, tmp_path):
    # 1e-3 leaves room for another machine's rounding; a change of the method moves them by far more
    assert short_run(variant, tmp_path) == pytest.approx(json.loads(LOSSES.read_text())[variant], rel=1e-3)

# One command a thing; each makes its own .venv first where there is none.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.ready

.PHONY: demo test lint types imports check format clean

demo: $(STAMP)  ## make a real sample project and export it with live progress
	$(VENV)/bin/labelferry sample sample --force
	$(VENV)/bin/labelferry export sample -o sample.zip --format coco --format yolo --format json --force

test: $(STAMP)  ## everything that says the tree is right
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy protocol broker workers clients tests benchmarks examples
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pytest

$(STAMP): pyproject.toml requirements/dev.txt
	@sh requirements/make-venv.sh $(PYTHON) $(VENV)
	@touch $(STAMP)

clean:
	rm -rf $(VENV)

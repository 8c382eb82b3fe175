# One command a thing; each makes the virtual environment it needs first, where it is not there yet.
PYTHON ?= python3
VENV := .venv

TIMES ?= 1
MINUTES ?= 30

.PHONY: demo test faults readers slow fuzz bench soak lock clean

demo: $(VENV)/.has-sample  ## make a real sample project and export it with live progress
	$(VENV)/bin/labelferry sample sample --force
	$(VENV)/bin/labelferry export sample -o sample.zip --format coco --format yolo --format json --force

test: $(VENV)/.has-dev  ## everything that says the tree is right
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy protocol broker workers clients tests benchmarks examples docs/make_formats_page.py
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pytest

faults: $(VENV)/.has-dev  ## the whole fault matrix, as often as TIMES says
	for time in $$(seq $(TIMES)); do $(VENV)/bin/pytest -m "" tests/faults || exit 1; done

readers: .venv-readers/.has-readers  ## have LabelMe, Datumaro and GeoPandas read what is written; in an environment of its own, of some 1.6 GB
	.venv-readers/bin/pytest tests/readers

slow: $(VENV)/.has-dev  ## the tests that take long and need no processes
	$(VENV)/bin/pytest -m slow tests/edge_cases

fuzz: $(VENV)/.has-dev  ## look for inputs nobody thought of, with new random ones
	HYPOTHESIS_PROFILE=fuzz $(VENV)/bin/pytest tests/protocol tests/export tests/formats tests/clients/library

bench: $(VENV)/.has-dev  ## measure; the figures are explained in benchmarks/README.md
	$(VENV)/bin/python -m benchmarks

soak: $(VENV)/.has-dev  ## kill processes of a service under load at random for MINUTES; see benchmarks/README.md
	$(VENV)/bin/python -m benchmarks.soak --minutes $(MINUTES)

$(VENV)/.has-%: requirements/%.txt pyproject.toml requirements/install.sh
	@sh requirements/install.sh $(PYTHON) $(VENV) $<
	@touch $@

.venv-readers/.has-readers: requirements/readers.txt pyproject.toml requirements/install.sh
	@sh requirements/install.sh $(PYTHON) .venv-readers $<
	@touch $@

lock: $(VENV)/.has-dev  ## resolve the dependencies anew
	$(VENV)/bin/pip install --quiet pip-tools
	for extra in sample dev readers; do $(VENV)/bin/pip-compile --quiet --extra $$extra --extra build --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links --no-header --strip-extras -o requirements/$$extra.txt pyproject.toml; done

clean:
	rm -rf $(VENV) .venv-readers

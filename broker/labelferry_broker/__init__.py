"""The broker process: who may enter (doorman), what happens to jobs (ledger, store), who is told (dispatcher), where bundles lie (depot)."""

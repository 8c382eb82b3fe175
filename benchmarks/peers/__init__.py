"""Other people's tools on the same work, one small file each; run in an environment of their own (queues.txt), never imported by ours."""

"""How the wire contract meets ZeroMQ: sockets with every option explicit, key files, and who is at the other end.

Here because broker, workers and clients all need it and never import each other. No message is understood here.
"""

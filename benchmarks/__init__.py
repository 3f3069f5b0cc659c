"""This tap beside its peers: how fast they are, and what they do when something goes wrong.

python -m benchmarks            the tap and a bare loop, 30,000 pools
python -m benchmarks --help     all the peers, more pools, a slower Toloka
python -m benchmarks.faults     what each peer does when something goes wrong
"""

from edgekit.batching.plan import Node, Plan
from edgekit.batching.evaluation import Batched

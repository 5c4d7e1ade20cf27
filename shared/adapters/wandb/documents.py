"""The GraphQL documents that we send to W&B: the operations of its own client's launch API.

In RUNS and ITEM, `#` stands for the number of an alias: one document asks the same of several projects.
"""

TYPES = {
    "entity": "String!",
    "project": "String!",
    "queue": "String!",
    "item": "ID!",
    "filters": "JSONString!",
    "first": "Int!",
}
RUNS = """project(name: $project#, entityName: $entity#) {
  runs(filters: $filters#, first: $first#) { edges { node { name state stopped } } }
}"""
ITEM = """project(name: $project#, entityName: $entity#) {
  runQueue(name: $queue#) { runQueueItem(id: $item#) { id state associatedRunId } }
}"""
POP = """mutation popFromRunQueue($entity: String!, $project: String!, $queue: String!, $agent: ID) {
  popFromRunQueue(input: {entityName: $entity, projectName: $project, queueName: $queue, launchAgentId: $agent}) {
    runQueueItemId runSpec
  }
}"""
ACK = """mutation ackRunQueueItem($item: ID!, $run: String!) {
  ackRunQueueItem(input: {runQueueItemId: $item, runName: $run}) { success }
}"""
FAIL = """mutation failRunQueueItem($item: ID!, $message: String!, $stage: String!) {
  failRunQueueItem(input: {runQueueItemId: $item, message: $message, stage: $stage}) { success }
}"""
WARN = """mutation updateRunQueueItemWarning($item: ID!, $message: String!, $stage: String!) {
  updateRunQueueItemWarning(input: {runQueueItemId: $item, message: $message, stage: $stage}) { success }
}"""
QUEUES = """query ProjectRunQueues($entity: String!, $project: String!) {
  project(entityName: $entity, name: $project) { runQueues { id name } }
}"""
REGISTER = """mutation createLaunchAgent($entity: String!, $project: String!, $queues: [ID!]!, $hostname: String!,
                                          $config: JSONString, $version: String) {
  createLaunchAgent(input: {entityName: $entity, projectName: $project, runQueues: $queues, hostname: $hostname,
                            agentConfig: $config, version: $version}) { launchAgentId }
}"""
AGENT = "query LaunchAgent($agent: ID!) { launchAgent(id: $agent) { id stopPolling } }"
HEARTBEAT = """mutation updateLaunchAgent($agent: ID!, $status: String) {
  updateLaunchAgent(input: {launchAgentId: $agent, agentStatus: $status}) { success }
}"""

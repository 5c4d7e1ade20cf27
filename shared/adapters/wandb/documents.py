"""The GraphQL documents that we send to W&B, with the operations and variables of its own clients.

In RUNS and ITEM, `#` stands for the number of an alias, if one document queries several projects.
"""

QUEUE_PROJECT = "model-registry"  # W&B keeps the launch queues of an entity in this project

TYPES = {
    "entityName": "String!",
    "projectName": "String!",
    "runQueue": "String!",
    "itemId": "ID!",
    "filters": "JSONString",
    "perPage": "Int",
    "cursor": "String",
}
RUNS = """project(name: $projectName#, entityName: $entityName#) {
  runs(filters: $filters#, first: $perPage#, after: $cursor#) {
    edges { node { name state stopped } } pageInfo { endCursor hasNextPage }
  }
}"""
ITEM = """project(name: $projectName#, entityName: $entityName#) {
  runQueue(name: $runQueue#) { runQueueItem(id: $itemId#) { id state associatedRunId } }
}"""
POP = """mutation popFromRunQueue(
  $entity: String!, $project: String!, $queueName: String!, $launchAgentId: ID
) {
  popFromRunQueue(input: {entityName: $entity, projectName: $project, queueName: $queueName,
                          launchAgentId: $launchAgentId}) { runQueueItemId runSpec }
}"""
ACK = """mutation ackRunQueueItem($itemId: ID!, $runId: String!) {
  ackRunQueueItem(input: {runQueueItemId: $itemId, runName: $runId}) { success }
}"""
FAIL = """mutation failRunQueueItem($runQueueItemId: ID!, $message: String!, $stage: String!) {
  failRunQueueItem(
    input: {runQueueItemId: $runQueueItemId, message: $message, stage: $stage}
  ) { success }
}"""
WARN = """mutation updateRunQueueItemWarning(
  $runQueueItemId: ID!, $message: String!, $stage: String!
) {
  updateRunQueueItemWarning(
    input: {runQueueItemId: $runQueueItemId, message: $message, stage: $stage}
  ) { success }
}"""
QUEUES = """query ProjectRunQueues($entity: String!, $projectName: String!) {
  project(entityName: $entity, name: $projectName) { runQueues { id name createdBy access } }
}"""
QUEUE_ITEMS = """query GetRunQueueItems(
  $projectName: String!, $entityName: String!, $runQueue: String!, $first: Int!, $after: String
) {
  project(name: $projectName, entityName: $entityName) {
    runQueue(name: $runQueue) {
      runQueueItems(first: $first, after: $after) {
        edges { node { state } } pageInfo { endCursor hasNextPage }
      }
    }
  }
}"""
QUEUE = """query GetRunQueueMetadata(
  $projectName: String!, $entityName: String!, $runQueue: String!
) {
  project(name: $projectName, entityName: $entityName) {
    runQueue(name: $runQueue) { id access defaultResourceConfigID }
  }
}"""
VIEWER = "query GetViewer { viewer { username } }"
QUEUE_CONFIG = """query GetDefaultResourceConfig($entityName: String!, $id: ID!) {
  entity(name: $entityName) {
    defaultResourceConfig(id: $id) { config resource templateVariables { name schema } }
  }
}"""
SWEEP = """query GetSweepState($entity: String!, $project: String!, $sweep: String!) {
  project(name: $project, entityName: $entity) { sweep(sweepName: $sweep) { state } }
}"""
SWEEP_TO_CANCEL = """query GetSweepToCancel($entity: String!, $project: String!, $sweep: String!) {
  project(name: $project, entityName: $entity) { sweep(sweepName: $sweep) { id state } }
}"""
CANCEL_SWEEP = """mutation UpsertSweep(
  $id: ID, $state: String, $entityName: String, $projectName: String
) {
  upsertSweep(
    input: {id: $id, state: $state, entityName: $entityName, projectName: $projectName}
  ) { sweep { name } }
}"""
REGISTER = """mutation createLaunchAgent(
  $entity: String!, $project: String!, $queues: [ID!]!, $hostname: String!,
  $agentConfig: JSONString, $version: String
) {
  createLaunchAgent(input: {
    entityName: $entity, projectName: $project, runQueues: $queues, hostname: $hostname,
    agentConfig: $agentConfig, version: $version
  }) { launchAgentId }
}"""
AGENT = """query LaunchAgent($agentId: ID!) {
  launchAgent(id: $agentId) { id agentStatus stopPolling }
}"""
HEARTBEAT = """mutation updateLaunchAgent($agentId: ID!, $agentStatus: String) {
  updateLaunchAgent(input: {launchAgentId: $agentId, agentStatus: $agentStatus}) { success }
}"""
JOB = """query ArtifactMembershipByName($entity: String!, $project: String!, $name: String!) {
  project(name: $project, entityName: $entity) {
    artifactCollectionMembership(name: $name) {
      versionIndex
      artifactCollection { name project { name entity { name } } }
      artifact { state digest artifactType { name } }
    }
  }
}"""
CODE = """query ArtifactByID($id: ID!) {
  artifact(id: $id) {
    state digest versionIndex artifactSequence { name project { name entity { name } } }
  }
}"""
FILES = """query GetArtifactMembershipFileUrls(
  $entity: String!, $project: String!, $collection: String!,
  $alias: String!, $cursor: String, $perPage: Int
) {
  project(name: $project, entityName: $entity) {
    artifactCollection(name: $collection) {
      artifactMembership(aliasName: $alias) {
        files(after: $cursor, first: $perPage) {
          pageInfo { endCursor hasNextPage } edges { node { name directUrl sizeBytes md5 } }
        }
      }
    }
  }
}"""

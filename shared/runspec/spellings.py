"""Keys of other programs, and what to write here instead.

Sources: Vertex AI's REST API, `gcloud ai custom-jobs create`, Kubernetes' Pod and Job, Docker's
and SageMaker's arguments as the agent's queues have them, KFP's and Airflow's operators, Prefect's
worker and SkyPilot's tasks. The names are in the plain spelling of shared.core.spelling.
"""

MACHINE = "machine_type, accelerator_type and accelerator_count under machine_spec"

_FIXES = {
    f"Vertex AI sizes a machine by its type. Write {MACHINE} of a pool.": (
        "accelerator accelerators cpu cpus cpu_limit gpu gpu_count gpu_type gpus instance_type "
        "limits machine memory memory_limit mem_limit nvidia.com/gpu num_gpus requests "
        "resource_config resources shm_size tpu tpu_type"
    ),
    f"Vertex AI selects a machine by its type. Write {MACHINE} of a pool.": (
        "affinity node_name node_selector node_selectors tolerations"
    ),
    "Vertex AI reads no secret into a variable. Write {name: …, value: …}, "
    "or let the code read Secret Manager with run.service_account.": (
        "config_map_key_ref config_map_ref env_from env_file field_ref from_secret secret "
        "secret_env secret_environment_variables secret_key_ref secret_ref secrets value_from"
    ),
    "Write env under container_spec of a pool, as a list of {name: …, value: …}.": (
        "env_vars environment environment_variables environments envs variables"
    ),
    "Vertex AI mounts each bucket at /gcs/BUCKET. "
    "Other storage belongs under nfs_mounts or lustre_mounts of a pool.": (
        "gcs_mounts mounts persistent_volume_claim storage volume volume_claim volume_mounts "
        "volumes"
    ),
    "Write image_uri under container_spec of a pool; an item writes docker.docker_image.": (
        "container_image container_image_uri container_uri image image_name master_image_uri "
        "training_image"
    ),
    "Write command under container_spec of a pool; an item writes overrides.entry_point.": (
        "cmd commands container_entry_points container_entrypoint entrypoint"
    ),
    "Write args under container_spec of a pool; an item writes overrides.args.": (
        "arguments container_args container_arguments"
    ),
    "W&B Launch runs containers: write image_uri, command and args under container_spec.": (
        "executor_image_uri extra_packages local_package_path package_uris packages "
        "python_module python_module_name python_package_gcs_uri python_package_uris "
        "python_package_spec requirements script script_path"
    ),
    "Write the fields of a container under container_spec of a pool.": (
        "container containers docker_config pod_template template"
    ),
    "Did you mean spec? The fields of a job are arguments here, under spec and run.": (
        "custom_job custom_job_spec job job_config job_spec training_job training_task_inputs"
    ),
    "Write its fields under run: strategy as scheduling_strategy, the others by their own names.": (
        "scheduling"
    ),
    "Write scheduling_strategy under run, such as scheduling_strategy: SPOT.": (
        "enable_spot flex_start interruptible low_cost preemptible provisioning_model "
        "scheduler_strategy spot spot_instances spot_vm strategy use_preemptible use_spot"
    ),
    "Write timeout under run, in seconds.": (
        "active_deadline_seconds job_timeout max_run_duration max_run_time max_runtime "
        "maximum_run_time_hours stopping_condition time_limit timeout_seconds wall_time walltime"
    ),
    "Write max_wait_duration under run, in seconds.": "max_wait max_wait_time queue_timeout",
    "Write restart_job_on_worker_restart or disable_retries under run.": (
        "backoff_limit max_retries max_restarts restart restart_policy retries retry_policy"
    ),
    "Write replica_count in a pool.": (
        "autoscaling_spec completions instance_count node_count nodes num_nodes num_workers "
        "parallelism replicas worker_count workers"
    ),
    "Write boot_disk_type and boot_disk_size_gb under disk_spec of a pool.": (
        "boot_disk boot_disk_size disk disk_size disk_size_gb disk_type ephemeral_storage "
        "volume_size_in_gb"
    ),
    "Write service_account under run.": (
        "account role_arn service_account_email service_account_name"
    ),
    "Write network or psc_interface_config under run.": (
        "network_attachment reserved_ip_ranges subnet subnetwork vpc vpc_config vpc_network"
    ),
    "Write location under spec, such as location: us-central1.": (
        "aws_region region regions vertex_location zone"
    ),
    "Write project under spec.": "gcp_project google_cloud_project project_id",
    "Write encryption_spec_key_name under spec.": (
        "encryption encryption_key encryption_spec kms_key kms_key_name kms_keyring kms_location "
        "kms_project"
    ),
    "Write base_output_dir under spec.": (
        "artifact_uri output_data_config output_dir output_uri output_uri_prefix"
    ),
    "Write labels under spec.": "annotations metadata tags",
    "Write display_name under spec; an item's name is at the top of its run spec.": (
        "generate_name job_name name training_job_name"
    ),
    "Write run_config under overrides.": (
        "config hparams hyper_parameters hyperparameters parameters params wandb_config"
    ),
    "This is for Kubernetes. Write the job as arguments of CustomJob under spec and run.": (
        "additional_services api_version init_containers kind sidecars"
    ),
    "Write experiment under run, and experiment_run for one of its runs.": "experiment_name",
    "Write enable_web_access under run.": "web_access",
    "Write reservation_affinity under machine_spec of a pool.": "reservation reservation_name",
    "A launch never waits for its job. Leave it out.": "async block wait wait_for_completion",
    "The SDK's CustomJob has no such argument. Leave it out.": (
        "dashboard_access enable_dashboard_access min_gpu_driver_version models "
        "multihost_gpu_node_count protected_artifact_location_id"
    ),
    "Vertex AI writes this field itself. Leave it out.": (
        "create_time end_time error etag satisfies_pzi satisfies_pzs start_time state update_time "
        "web_access_uris"
    ),
    "Write a variable as {name: …, value: …}.": "key",
    "The operator's launch-config sets how images are built; a queue writes builder.base_image.": (
        "build build_config build_context_store build_job_name destination kaniko registry"
    ),
    "Choose the queue with `wandb launch --queue`, or in the queue field of a request.": (
        "project_queue queue queue_entity queue_name queues run_queue run_queue_project"
    ),
    "Vertex AI pulls images with its own service agent. Grant it roles/artifactregistry.reader.": (
        "image_pull_policy image_pull_secrets registry_auth"
    ),
    "A CustomJob has no priority. Enqueue the item with `wandb launch --priority`.": (
        "priority priority_class_name"
    ),
}
FIXES = {name: fix for fix, names in _FIXES.items() for name in names.split()}

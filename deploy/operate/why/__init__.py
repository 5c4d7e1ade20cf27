"""`vertex-launch why`: facts about one launch, or about a deployment, and the findings in them."""

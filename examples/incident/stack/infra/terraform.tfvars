vpc_id     = "vpc-0a1b2c3d"
subnet_ids = ["subnet-0a1b2c3d", "subnet-1a2b3c4d"]
registry   = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"

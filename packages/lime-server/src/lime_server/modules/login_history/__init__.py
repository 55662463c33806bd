"""Who logged in where: what an owner sees of past logins."""

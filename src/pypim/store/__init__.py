"""What stays on disk: files, blobs and the catalog. The only place that writes files or speaks SQL."""

"""Operations that are not called, and why. (Of the emulator's promise, see `docs/judges.md`.)"""

PAGES = "page blobs do not exist on an account with a hierarchical namespace"
TAGS = "blob index tags do not exist on an account with a hierarchical namespace"
QUERIES = "query acceleration runs SQL inside the service; the emulator stores bytes"
UNDELETE = "it names no deletion, which a hierarchical namespace wants named; undeleting a path of Data Lake is tested"
DELETED = "the emulator keeps no deleted file systems"
APPENDS = "append blobs are not in the emulator's subset of Blob; appending is what the DFS endpoint is for"
TIERS = "access tiers cost money, not bytes; the emulator has none"
SNAPSHOTS = "snapshots are not in the emulator's subset of Blob"
IMMUTABLE = "immutability policies and legal holds are not in the emulator's subset of Blob"
FROM_URL = "the emulator fetches nothing from other services"
BATCHES = "multipart batches are not in the emulator's subset of Blob"
SECONDARY = "there is no secondary location"


def of(client, *operations):
    return [(client, operation) for operation in operations]


REASONS = {
    PAGES: of(
        "BlobClient",
        "clear_page",
        "create_page_blob",
        "get_page_range_diff_for_managed_disk",
        "get_page_ranges",
        "list_page_ranges",
        "resize_blob",
        "set_premium_page_blob_tier",
        "set_sequence_number",
        "upload_page",
        "upload_pages_from_url",
    )
    + of("ContainerClient", "set_premium_page_blob_tier_blobs"),
    TAGS: of("BlobClient", "get_blob_tags", "set_blob_tags")
    + of("ContainerClient", "find_blobs_by_tags")
    + of("BlobServiceClient", "find_blobs_by_tags")
    + of("DataLakeFileClient", "get_tags", "set_tags")
    + of("DataLakeDirectoryClient", "get_tags", "set_tags"),
    QUERIES: of("BlobClient", "query_blob") + of("DataLakeFileClient", "query_file"),
    UNDELETE: of("BlobClient", "undelete_blob"),
    DELETED: of("BlobServiceClient", "undelete_container") + of("DataLakeServiceClient", "undelete_file_system"),
    APPENDS: of("BlobClient", "append_block", "append_block_from_url", "create_append_blob", "seal_append_blob"),
    TIERS: of("BlobClient", "set_standard_blob_tier") + of("ContainerClient", "set_standard_blob_tier_blobs"),
    SNAPSHOTS: of("BlobClient", "create_snapshot"),
    IMMUTABLE: of("BlobClient", "delete_immutability_policy", "set_immutability_policy", "set_legal_hold"),
    FROM_URL: of("BlobClient", "stage_block_from_url", "upload_blob_from_url"),
    BATCHES: of("ContainerClient", "delete_blobs"),
    SECONDARY: of("BlobServiceClient", "get_service_stats"),
}

EXCLUDED = {operation: reason for reason, operations in REASONS.items() for operation in operations}

"""Operations that are not called, and why. (Of the emulator's promise, see `docs/judges.md`.)"""

PAGES = "page blobs do not exist on an account with a hierarchical namespace; that they cannot be made is tested"
TAGS = "a directory has no index tags on any account; that files have none here is tested"
QUERIES = "query acceleration runs SQL inside the service; the emulator stores bytes"
UNDELETE = "it names no deletion, which a hierarchical namespace wants named; undeleting a path of Data Lake is tested"
DELETED = "the emulator keeps no deleted file systems"
IMMUTABLE = "immutability policies and legal holds are not in the emulator's subset of Blob"
SECONDARY = "there is no secondary location"


def of(client, *operations):
    return [(client, operation) for operation in operations]


REASONS = {
    PAGES: of(
        "BlobClient",
        "get_page_range_diff_for_managed_disk",
        "list_page_ranges",
        "set_premium_page_blob_tier",
        "set_sequence_number",
        "upload_pages_from_url",
    )
    + of("ContainerClient", "set_premium_page_blob_tier_blobs"),
    TAGS: of("DataLakeDirectoryClient", "get_tags", "set_tags"),
    QUERIES: of("BlobClient", "query_blob") + of("DataLakeFileClient", "query_file"),
    UNDELETE: of("BlobClient", "undelete_blob"),
    DELETED: of("BlobServiceClient", "undelete_container") + of("DataLakeServiceClient", "undelete_file_system"),
    IMMUTABLE: of("BlobClient", "delete_immutability_policy", "set_immutability_policy", "set_legal_hold"),
    SECONDARY: of("BlobServiceClient", "get_service_stats"),
}

EXCLUDED = {operation: reason for reason, operations in REASONS.items() for operation in operations}

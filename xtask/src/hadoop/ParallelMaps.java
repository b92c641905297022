import java.io.IOException;
import java.util.List;

import org.apache.hadoop.mapreduce.InputSplit;
import org.apache.hadoop.mapreduce.JobContext;
import org.apache.hadoop.tools.mapred.UniformSizeInputFormat;

/**
 * DistCp's own way to divide its work. The local job runner sets the number of maps to 1 behind its back, whatever -m says;
 * this sets it again.
 */
public class ParallelMaps extends UniformSizeInputFormat {
    @Override
    public List<InputSplit> getSplits(JobContext context) throws IOException, InterruptedException {
        int maps = context.getConfiguration().getInt("mapreduce.local.map.tasks.maximum", 1);
        context.getConfiguration().setInt(JobContext.NUM_MAPS, maps);
        return super.getSplits(context);
    }
}
